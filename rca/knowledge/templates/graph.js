"use strict";
(() => {
  const graph = JSON.parse(document.getElementById("data").textContent);
  const canvas = document.getElementById("view"), side = document.getElementById("side");
  const search = document.getElementById("search"), pen = canvas.getContext("2d");
  const note = document.getElementById("note");
  const WIDTH = 168, HEIGHT = 24;
  const MOST_EDGES = 3000; // in sight at once: more tell nothing, and take seconds to draw
  const MOST_NAMED = 200; // in a list
  const place = new Map(graph.nodes.map((node, i) => [node.id, graph.places[i]]));
  const lines = graph.edges.map((edge) => [place.get(edge.source), place.get(edge.target), edge]);
  const byId = new Map(graph.nodes.map((node) => [node.id, node]));
  const out = new Map(), into = new Map();
  for (const edge of graph.edges) {
    if (!out.has(edge.source)) out.set(edge.source, []);
    if (!into.has(edge.target)) into.set(edge.target, []);
    out.get(edge.source).push(edge);
    into.get(edge.target).push(edge);
  }
  let scale = 1, left = 0, top = 0, chosen = null, hits = new Set(), queued = false;

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const hue = (text) => { let h = 7; for (const c of text) h = (h * 31 + c.codePointAt(0)) % 360; return h; };
  const dark = matchMedia("(prefers-color-scheme: dark)");

  function draw() {
    queued = false;
    const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.translate(left, top);
    pen.scale(scale, scale);
    const ink = { edge: color("--edge"), cause: color("--cause"), symptom: color("--symptom"), ink: color("--ink"),
      surface: color("--surface"), line: color("--line") };
    const seen = (x, y, margin) => x * scale + left > -margin && x * scale + left < width + margin &&
      y * scale + top > -margin && y * scale + top < height + margin;
    const own = [], others = [], margin = lines.length > MOST_EDGES ? 0 : Infinity;
    for (const line of lines) {
      if (chosen !== null && (line[2].source === chosen || line[2].target === chosen)) own.push(line);
      else if (seen(line[0][0], line[0][1], margin) || seen(line[1][0], line[1][1], margin)) others.push(line);
    }
    const many = others.length > MOST_EDGES;
    say(hits.size ? `${hits.size.toLocaleString("en")} found` :
      many ? "Too many edges to draw: zoom in, search, or click a node for its own" : "");
    for (const [[ax, ay], [bx, by], edge] of many ? own : [...others, ...own]) {
      const near = chosen !== null && (edge.source === chosen || edge.target === chosen);
      const weight = Number(edge.facts.weight ?? edge.facts.confidence ?? 0.5);
      pen.strokeStyle = near ? ink.cause : ink.edge;
      pen.globalAlpha = near ? 1 : chosen === null ? 0.35 + 0.4 * weight : 0.15;
      pen.lineWidth = (near ? 2 : 1) * Math.max(1, 0.6 / scale);
      curve(ax, ay, bx, by);
    }
    pen.globalAlpha = 1;
    for (const node of graph.nodes) {
      const [x, y] = place.get(node.id);
      if (!seen(x, y, 300)) continue;
      const faint = hits.size > 0 && !hits.has(node.id) && node.id !== chosen;
      pen.globalAlpha = faint ? 0.25 : 1;
      const mark = node.marked === "cause" ? ink.cause : node.marked === "symptom" ? ink.symptom : null;
      pen.fillStyle = ink.surface;
      pen.strokeStyle = node.id === chosen ? ink.ink : mark ?? ink.line;
      pen.lineWidth = node.id === chosen || mark || hits.has(node.id) ? 2.4 : 1.2;
      pen.beginPath();
      if (scale < 0.2) pen.rect(x - WIDTH / 2, y - HEIGHT / 2, WIDTH, HEIGHT);
      else pen.roundRect(x - WIDTH / 2, y - HEIGHT / 2, WIDTH, HEIGHT, 5);
      pen.fill();
      pen.stroke();
      pen.fillStyle = `hsl(${hue(node.group)} 55% ${dark.matches ? 62 : 45}%)`;
      if (scale < 0.2) pen.fillRect(x - WIDTH / 2 + 20, y - 8, WIDTH - 40, 16);
      else pen.fillRect(x - WIDTH / 2 + 4, y - 6, 4, 12);
      if (scale > 0.35) {
        pen.fillStyle = ink.ink;
        pen.font = "11.5px system-ui, sans-serif";
        pen.textBaseline = "middle";
        pen.fillText(shorten(node.label), x - WIDTH / 2 + 14, y + 0.5);
      }
    }
    pen.globalAlpha = 1;
  }

  function curve(ax, ay, bx, by) {
    const right = bx > ax, x1 = ax + WIDTH / 2, x2 = right ? bx - WIDTH / 2 : bx + WIDTH / 2;
    const bend = right ? Math.max(30, (x2 - x1) / 2) : 60;
    pen.beginPath();
    pen.moveTo(x1, ay);
    pen.bezierCurveTo(x1 + bend, ay, right ? x2 - bend : x2 + bend, by, x2, by);
    pen.stroke();
    const tip = right ? -6 : 6;
    pen.beginPath();
    pen.moveTo(x2 + tip, by - 3.5);
    pen.lineTo(x2, by);
    pen.lineTo(x2 + tip, by + 3.5);
    pen.stroke();
  }

  const shorten = (text) => { const all = [...text]; return all.length > 22 ? all.slice(0, 21).join("") + "…" : text; };
  const say = (text) => { if (note.textContent !== text) note.textContent = text; };
  const redraw = () => { if (!queued) { queued = true; requestAnimationFrame(draw); } };

  function fit() {
    const xs = graph.places.map((p) => p[0]), ys = graph.places.map((p) => p[1]);
    const reduce = (list, pick) => list.reduce((a, b) => pick(a, b), list[0] ?? 0);
    const x0 = reduce(xs, Math.min) - WIDTH, x1 = reduce(xs, Math.max) + WIDTH;
    const y0 = reduce(ys, Math.min) - 40, y1 = reduce(ys, Math.max) + 40;
    scale = Math.min(1.4, canvas.clientWidth / (x1 - x0), canvas.clientHeight / (y1 - y0));
    left = (canvas.clientWidth - scale * (x0 + x1)) / 2;
    top = (canvas.clientHeight - scale * (y0 + y1)) / 2;
    redraw();
  }

  function zoom(factor, x, y) {
    const next = Math.min(4, Math.max(0.02, scale * factor));
    left = x - (x - left) * next / scale;
    top = y - (y - top) * next / scale;
    scale = next;
    redraw();
  }

  function add(parent, tag, text) {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  }

  function facts(of) {
    const list = add(side, "dl");
    for (const [name, value] of Object.entries(of)) if (value !== "") { add(list, "dt", name); add(list, "dd", value); }
  }

  function ends(title, edges, end) {
    if (!edges || !edges.length) return;
    add(side, "h3", `${title} (${edges.length})`);
    const list = add(side, "ul");
    for (const edge of edges.slice(0, MOST_NAMED)) {
      const told = Object.entries(edge.facts).filter(([, value]) => value !== "").map(([k, v]) => `${k} ${v}`).join(", ");
      const link = add(add(list, "li"), "button", byId.get(edge[end]).label);
      add(link, "div", `${edge.label}: ${told}`).className = "dim";
      link.addEventListener("click", () => { choose(edge[end], true); side.firstChild.focus(); });
    }
  }

  function choose(id, move) {
    chosen = id;
    side.replaceChildren();
    if (id !== null) {
      const node = byId.get(id);
      add(side, "h2", node.label).tabIndex = -1; // takes the focus from the link that led here
      facts(node.marked ? { role: node.marked, ...node.facts } : node.facts);
      const causal = graph.form === "causality";
      ends(causal ? "May have been caused by" : "Is used by", into.get(id), "source");
      ends(causal ? "May have caused" : "Depends on", out.get(id), "target");
      if (move) {
        const [x, y] = place.get(id);
        scale = Math.max(scale, 0.8);
        left = canvas.clientWidth / 2 - x * scale;
        top = canvas.clientHeight / 2 - y * scale;
      }
    }
    redraw();
  }

  let held = null, moved = false;
  canvas.addEventListener("pointerdown", (e) => { held = [e.clientX, e.clientY]; moved = false; canvas.setPointerCapture(e.pointerId); });
  canvas.addEventListener("pointermove", (e) => {
    if (!held) return;
    const dx = e.clientX - held[0], dy = e.clientY - held[1];
    if (Math.abs(dx) + Math.abs(dy) > 3) moved = true;
    if (moved) { left += dx; top += dy; held = [e.clientX, e.clientY]; redraw(); }
  });
  canvas.addEventListener("pointerup", (e) => {
    held = null;
    if (moved) return;
    const box = canvas.getBoundingClientRect();
    const x = (e.clientX - box.left - left) / scale, y = (e.clientY - box.top - top) / scale;
    const hit = graph.nodes.find((node) => {
      const [nx, ny] = place.get(node.id);
      return Math.abs(x - nx) <= WIDTH / 2 && Math.abs(y - ny) <= HEIGHT / 2;
    });
    choose(hit ? hit.id : null, false);
  });
  canvas.addEventListener("wheel", (e) => {
    e.preventDefault();
    const box = canvas.getBoundingClientRect();
    zoom(Math.exp(-e.deltaY * 0.0015), e.clientX - box.left, e.clientY - box.top);
  }, { passive: false });
  canvas.addEventListener("keydown", (e) => {
    const step = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[e.key];
    if (step) { left += step[0]; top += step[1]; redraw(); e.preventDefault(); }
    if (e.key === "+" || e.key === "-") zoom(e.key === "+" ? 1.2 : 1 / 1.2, canvas.clientWidth / 2, canvas.clientHeight / 2);
    if (e.key === "Escape") choose(null, false);
  });
  let next = 0;
  function find(jump) {
    const text = search.value.trim().toLowerCase();
    const found = text ? graph.nodes.filter((node) => node.label.toLowerCase().includes(text) ||
      Object.values(node.facts).some((value) => String(value).toLowerCase().includes(text))) : [];
    hits = new Set(found.map((node) => node.id));
    if (jump && found.length) choose(found[next++ % found.length].id, true);
    else if (text) list(found);
    else choose(chosen, false);
    redraw();
  }

  function list(found) {
    side.replaceChildren();
    add(side, "h3", `Found (${found.length})`);
    const names = add(side, "ul");
    for (const node of found.slice(0, MOST_NAMED)) {
      const link = add(add(names, "li"), "button", node.label);
      link.addEventListener("click", () => { choose(node.id, true); side.firstChild.focus(); });
    }
  }
  search.addEventListener("input", () => { next = 0; find(false); });
  search.addEventListener("keydown", (e) => { if (e.key === "Enter") find(true); });
  document.getElementById("fit").addEventListener("click", fit);
  addEventListener("resize", redraw);
  dark.addEventListener("change", redraw);
  const marked = graph.nodes.find((node) => node.marked === "cause") ?? graph.nodes.find((node) => node.marked);
  fit();
  if (marked) choose(marked.id, false);
})();
