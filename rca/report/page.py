"""The incident page: one HTML file that asks for nothing else, the same bytes for the same report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rca.kinds import load_kinds
from rca.quantities import clock, duration, moment, percent
from rca.report.advice import contact_of, first_steps
from rca.report.drawing import CARD, draw
from rca.report.evidence_series import find_series
from rca.report.plots import BAR_ROW, HEIGHT, LANE_WIDTH, WIDTH, plot, timeline
from rca.report.selection import Selection, select
from rca.report.wording import (
    event_sentence,
    headline,
    kind_text,
    listing,
    raised_sentences,
    reason_sentence,
    similar_cause,
    title,
)
from rca.types import Case, Report

if TYPE_CHECKING:
    from jinja2 import Environment

_LABELS = {"cause": "Root cause", "inconclusive": "Inconclusive", "healthy": "Healthy"}
_UNKNOWN_GROUP = "status"


def render_page(report: Report, case: Case | None = None) -> str:
    """The page as text; ``case`` adds curves of its telemetry, owners and runbooks."""
    import rca

    selection = select(report)
    drawing = draw(report, selection)
    order = [card.component for card in sorted(drawing.cards, key=lambda card: (card.x, card.y))]
    first = report.root_causes[0] if report.root_causes else None
    series = () if case is None else find_series(report, case)
    group = _group_of_kind()
    return (
        _environment()
        .get_template("incident.html.j2")
        .render(
            version=rca.__version__,
            report=report,
            name=title(report),
            label=_LABELS[report.verdict],
            heading=_heading(report),
            sentence=headline(report),
            first=None if report.verdict == "healthy" else first,
            facts=_facts(report),
            steps=first_steps(report, case),
            contact=None if first is None else contact_of(first.component, case),
            drawing=drawing,
            card_width=CARD,
            groups=group,
            shown_groups=_shown_groups(selection, group),
            omitted=selection.omitted,
            raised=raised_sentences(report),
            links=selection.links,
            plots=[plot(each, report) for each in series],
            plot_size=(WIDTH, HEIGHT),
            timeline=timeline(selection.events, order, report),
            bar_row=BAR_ROW,
            lane_width=LANE_WIDTH,
        )
    )


def render_failure(name: str, sentence: str, steps: Sequence[str]) -> str:
    """The page of an incident whose analysis failed: why, and what to do."""
    template = _environment().get_template("failed.html.j2")
    return template.render(name=name, heading="The cause is not known", sentence=sentence, steps=steps)


def write_page(report: Report, case: Case | None, path: str | Path) -> None:
    """Writes the page; half a surrogate pair, which UTF-8 cannot hold, becomes a question mark."""
    Path(path).write_bytes(render_page(report, case).encode("utf-8", "replace"))


def _heading(report: Report) -> str:
    if report.verdict == "cause" and report.root_causes:
        return report.root_causes[0].component
    if report.verdict == "healthy":
        return "Nothing abnormal"
    return listing([cause.component for cause in report.root_causes], 3) or "No candidate"


def _facts(report: Report) -> list[tuple[str, str]]:
    incident = report.incident
    facts = []
    if report.onset is not None:
        facts.append(("began about", moment(report.onset)))
    if incident.detected_at is not None:
        later = "" if report.onset is None else f" ({duration(incident.detected_at - report.onset)} later)"
        facts.append(("noticed", clock(incident.detected_at) + later))
    facts.append(("window", f"{moment(incident.window.start)} to {clock(incident.window.end)}"))
    if incident.symptoms:
        names = [f"{symptom.component} {symptom.metric}".strip() for symptom in incident.symptoms]
        facts.append(("symptom", listing(names, 3)))
    if report.blast_radius:
        facts.append(("blast radius", f"{len(report.blast_radius)} components"))
    if report.suspects:
        believed = next((s.change.name for s in report.suspects if s.change.id == report.culprit), "none believed")
        facts.append(("change", believed))
    return facts


def _group_of_kind() -> Callable[[str], str]:
    kinds = load_kinds()
    return lambda kind: kinds[kind].group if kind in kinds else _UNKNOWN_GROUP


def _shown_groups(selection: Selection, group: Callable[[str], str]) -> Sequence[str]:
    return sorted({group(event.kind) for event in selection.events})


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("rca.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    filters: dict[str, Callable[..., Any]] = {
        "clock": clock,
        "moment": moment,
        "duration": duration,
        "percent": percent,
        "listing": listing,
        "sentence": event_sentence,
        "reason": reason_sentence,
        "meaning": kind_text,
        "confirmed": similar_cause,
        "is_link": lambda text: text.startswith(("https://", "http://")),
    }
    environment.filters.update(filters)
    return environment
