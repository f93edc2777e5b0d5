"""The page of a graph in a real browser: by mouse, by keyboard, with thousands of components."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

from rca.knowledge import Knowledge
from rca.knowledge.layout import lay_out
from rca.knowledge.memory import MemoryStore
from rca.knowledge.page import render_graph
from rca.knowledge.picture import Picture, picture_of_incident, picture_of_topology
from rca.topology import Topology

_spec = spec_from_file_location("history", Path(__file__).with_name("history.py"))
assert _spec is not None
assert _spec.loader is not None
history = module_from_spec(_spec)
_spec.loader.exec_module(history)

# Runs each step at once and leaves what it sees in the page's title.
BEFORE = "window.requestAnimationFrame = (draw) => { draw(); return 1; };"
AFTER = """
const search = document.getElementById("search"), side = document.getElementById("side"), told = [];
const tell = (what) => told.push(what);
const note = () => document.getElementById("note").textContent;
const key = (where, name) => where.dispatchEvent(new KeyboardEvent("keydown", { key: name, cancelable: true }));
const type = (text) => { search.value = text; search.dispatchEvent(new Event("input")); };
STEPS
document.title = JSON.stringify(told).replaceAll('"', "'");
"""


def topology(edges: list[tuple[str, str]], components: list[str]) -> Picture:
    known = Knowledge(MemoryStore())
    known.record_topology(Topology.from_edges(edges, components=components), source="yaml", at=1)
    return picture_of_topology(known.topology_at(1))


@pytest.fixture(scope="module")
def large() -> Picture:
    """5,000 components, of which each of the last 4,900 depends on one of the first hundred."""
    names = [f"service-{i:04d}" for i in range(5_000)]
    return topology([(names[i], names[i % 100]) for i in range(100, 5_000)], names)


def show(picture: Picture, folder: Path, steps: str = "") -> tuple[str, str]:
    """Title and content of the page in chromium, after some steps."""
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("chromium is not installed")
    text = render_graph(picture)
    if steps:
        text = re.sub("script-src 'sha256-[^']*'", "script-src 'unsafe-inline'", text)
        text = text.replace('<script id="data"', f'<script>{BEFORE}</script><script id="data"', 1)
        text = text.replace("</body>", f"<script>{AFTER.replace('STEPS', steps)}</script></body>")
    page = folder / "graph.html"
    page.write_text(text, encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync", f"--user-data-dir={folder / 'browser'}", "--dump-dom"]
    shown = subprocess.run([browser, *flags, page.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    drawn = re.sub(r"<script.*?</script>", "", shown.stdout, flags=re.DOTALL)
    title = re.search("<title>(.*?)</title>", drawn, re.DOTALL)
    assert title is not None
    return title[1], drawn


def test_a_causality_graph_opens_at_its_cause(tmp_path: Path) -> None:
    knowledge = Knowledge(MemoryStore())
    knowledge.record_incident(history.REPORTS[0])
    _, drawn = show(picture_of_incident(knowledge.incident("one")), tmp_path)
    assert "May have caused (1)" in drawn
    assert history.RULES[0].name in drawn


def test_a_search_names_what_it_finds_and_links_lead_on_without_a_mouse(tmp_path: Path) -> None:
    steps = """
    type("ca"); tell(side.querySelector("h3").textContent); tell(note());
    side.querySelectorAll("button")[1].click(); tell(document.activeElement.textContent);
    side.querySelectorAll("button")[0].click(); tell(document.activeElement.textContent);
    type("db"); key(search, "Enter"); tell(side.querySelector("h2").textContent);
    type(""); tell(side.querySelector("h2").textContent);
    key(document.getElementById("view"), "Escape"); tell(side.children.length);
    """
    title, _ = show(topology([("web", "cart"), ("cart", "cache"), ("cart", "db")], []), tmp_path, steps)
    assert title == "['Found (2)','2 found','cart','web','db','db',0]"


def test_five_thousand_components_are_drawn_without_the_edges_that_would_hide_them(
    large: Picture, tmp_path: Path
) -> None:
    steps = """
    tell(note().startsWith("Too many edges")); type("service-0142"); key(search, "Enter");
    tell(side.querySelectorAll("h3")[0].textContent); type(""); tell(note());
    type("service-0042"); key(search, "Enter"); tell(side.querySelectorAll("h3")[0].textContent);
    """
    title, _ = show(large, tmp_path, steps)
    assert title == "[true,'Depends on (1)','','Is used by (49)']"


def test_an_empty_graph_is_a_page_too(tmp_path: Path) -> None:
    _, drawn = show(topology([], []), tmp_path, "tell(note());")
    assert "0 nodes, 0 edges" in drawn


def test_a_large_graph_fills_a_screen_and_no_two_nodes_share_a_place(large: Picture) -> None:
    places = np.array(lay_out(large))
    assert len(np.unique(places, axis=0)) == len(large.nodes)
    width, height = np.ptp(places, axis=0)
    assert 0.5 < width / height < 4
