from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from rca.report.page import render_page, write_page
from rca.types import Case, Report

VOID = {"meta", "input", "br", "link", "img", "hr"}


class Outline(HTMLParser):
    """Checks that tags nest, and collects ids, what they refer to, titles and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def outline(page: str) -> Outline:
    parser = Outline()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


def test_the_page_asks_for_nothing_from_anywhere(report: Report, case: Case) -> None:
    page = render_page(report, case)
    links = [value for _, attrs in outline(page).tags for name, value in attrs.items() if name in ("src", "href")]
    assert links == ["#main", "https://runbooks.example/payment"]
    assert "@import" not in page
    assert re.findall(r"url\(([^)]*)\)", page) == [
        f"#arrow-{kind}" for kind in re.findall(r"url\(#arrow-(\w+)\)", page)
    ]
    assert "<script" not in page


def test_the_answer_is_the_heading(report: Report, case: Case) -> None:
    page = render_page(report, case)
    assert "<h1>payment</h1>" in page
    assert "86 %" in page
    assert "pool.max_size was lowered from 50 to 5" in page


def test_every_rule_that_is_drawn_is_named(report: Report, case: Case) -> None:
    page = render_page(report, case)
    for rule in report.graph.rules:
        assert rule.name in page


def test_every_drawing_says_in_words_what_it_shows(report: Report, case: Case) -> None:
    tags = outline(render_page(report, case)).tags
    drawings = [attrs for tag, attrs in tags if tag == "svg" and "aria-hidden" not in attrs]
    ids = {attrs["id"] for _, attrs in tags if "id" in attrs}
    assert len(drawings) == 8  # the graph, six curves, the timeline
    for attrs in drawings:
        assert attrs["role"] == "img"
        assert attrs.get("aria-label") or attrs["aria-labelledby"] in ids
    words = [attrs["aria-label"] or "" for attrs in drawings if "aria-label" in attrs]
    pool = next(text for text in words if text.startswith("db_pool_used_ratio of payment"))
    assert "healthy between 0.1" in pool
    assert "with 1." in pool


def test_what_scrolls_can_be_reached_by_keyboard(report: Report, case: Case) -> None:
    tags = outline(render_page(report, case)).tags
    regions = [attrs for tag, attrs in tags if attrs.get("role") == "region"]
    assert len(regions) == 2
    assert all(attrs["tabindex"] == "0" and attrs["aria-label"] for attrs in regions)


def test_names_from_telemetry_cannot_become_markup(report: Report, case: Case) -> None:
    attack = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    first = report.root_causes[0]
    graph = report.graph
    events = (replace(graph.events[0], component=attack, name=attack), *graph.events[1:])
    hostile = replace(
        report,
        graph=replace(graph, events=events),
        root_causes=(replace(first, component=attack, sentence=attack, event=events[0], chain=events[:6]),),
        missing=(attack,),
    )
    page = render_page(hostile, case)
    parsed = outline(page)
    assert not [tag for tag, _ in parsed.tags if tag in ("script", "img")]
    assert attack in "".join(parsed.text)


def test_a_runbook_that_is_no_web_address_is_no_link(report: Report, case: Case) -> None:
    assert case.topology is not None
    topology = replace(case.topology, attributes={"payment": {"runbook": "javascript:alert(1)"}})
    page = render_page(report, replace(case, topology=topology))
    assert "runbook: javascript:alert(1)" in page
    assert 'href="javascript' not in page


@pytest.mark.parametrize("verdict", ["inconclusive", "healthy"])
def test_other_verdicts_have_a_page_too(report: Report, case: Case, verdict: str) -> None:
    empty = replace(
        report, root_causes=(), critical=(), suspects=(), operational=(), blast_radius=(), impact=(), onset=None
    )
    other = replace(report if verdict == "inconclusive" else empty, verdict=verdict, culprit="none")
    page = render_page(other, case)
    outline(page)
    assert f'<div class="verdict {verdict}">' in page
    assert '<div class="label">Root cause</div>' not in page


def test_without_the_case_the_page_has_no_curves(report: Report) -> None:
    page = render_page(report)
    outline(page)
    assert "Measured" not in page


def test_a_lone_surrogate_does_not_prevent_the_page(report: Report, tmp_path: Path) -> None:
    write_page(replace(report, missing=("caf\ud800e",)), None, tmp_path / "page.html")
    assert "caf?e" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_the_same_report_gives_the_same_bytes_whatever_the_hash_seed() -> None:
    script = (
        "import hashlib, importlib.util as u;"
        f"s = u.spec_from_file_location('made', {str(Path(__file__).with_name('conftest.py'))!r});"
        "made = u.module_from_spec(s); s.loader.exec_module(made);"
        "from rca.report.page import render_page; from rca.report.document import to_json;"
        "report, case = made.make_report(), made.make_case();"
        "print(hashlib.sha256((render_page(report, case) + to_json(report)).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", script], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("0", "1")
    }
    assert len(digests) == 1
