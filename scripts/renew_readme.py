"""Puts what `rca demo` prints today between the demo marks of README.md; `make readme` runs it."""

from __future__ import annotations

from pathlib import Path

from rca.cases.folder import read_case
from rca.pipeline import analyze
from rca.report.text import render_text
from rca.resources import bundled

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN, END = "<!-- demo:begin -->", "<!-- demo:end -->"
# The rest of the report is lists, which docs/report.md explains.
LAST_SECTION = "Do first"


def demo_excerpt() -> str:
    """The demo's report down to its first lists, without the time it took."""
    folder = sorted(bundled("datasets", "demo-shop").glob("*/case.json"))[0].parent
    case = read_case(folder)
    text = render_text(analyze(case), case, width=110)
    sections = text.split("\n\n")
    names = [section.splitlines()[0] for section in sections]
    last = names.index(LAST_SECTION) + 1 if LAST_SECTION in names else len(names)
    return "\n\n".join(sections[:last]).rstrip()


def renewed(readme: str, excerpt: str) -> str:
    """The text of the README with the excerpt between its marks."""
    before, rest = readme.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    return f"{before}{BEGIN}\n\n```\n{excerpt}\n```\n\n{END}{after}"


if __name__ == "__main__":
    README.write_text(renewed(README.read_text(encoding="utf-8"), demo_excerpt()), encoding="utf-8")
