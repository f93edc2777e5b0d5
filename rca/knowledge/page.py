"""One page to look at a graph in: moved, enlarged, searched, and asked by a click. It asks for nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

from rca.knowledge.layout import lay_out
from rca.knowledge.picture import Picture, document_of

_FOLDER = Path(__file__).with_name("templates")


def render_graph(picture: Picture) -> str:
    """The page as text, the same bytes for the same picture.

    Names travel as JSON in which nothing can end a script, and reach the page as text only; the
    page's policy lets its own script run and no other.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    import rca

    script = (_FOLDER / "graph.js").read_text(encoding="utf-8")
    data = document_of(picture) | {"places": lay_out(picture)}
    environment = Environment(loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("graph.html.j2").render(
        title=picture.title,
        version=rca.__version__,
        form=picture.form,
        counts=f"{len(picture.nodes):,} nodes, {len(picture.edges):,} edges",
        hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        script=script,
        data=_harmless(json.dumps(data, ensure_ascii=True, separators=(",", ":"))),
    )


def _harmless(text: str) -> str:
    """JSON without the characters that HTML could take for its own."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
