"""The report on a terminal: the answer first, then why, then everything that could change it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from rca.quantities import clock, duration, moment, percent
from rca.report.advice import contact_of, first_steps
from rca.report.wording import (
    certainty,
    event_sentence,
    headline,
    kind_text,
    listing,
    named_change,
    raised_sentences,
    reason_sentence,
    similar_sentence,
    title,
)

if TYPE_CHECKING:
    from rca.types import Case, Event, Report, RootCause

_MOST_REASONS, _MOST_BESIDE, _MOST_CRITICAL = 5, 3, 4
_MOST_LEARNED = 5
_WORTH_SHOWING = 0.01
_STYLES = {"cause": "bold red", "inconclusive": "bold yellow", "healthy": "bold green"}
_LABELS = {"cause": "ROOT CAUSE", "inconclusive": "INCONCLUSIVE", "healthy": "HEALTHY"}


def print_report(report: Report, case: Case | None, console: Console) -> None:
    """Writes the report; ``case`` adds owners and runbooks where its topology names them."""
    for part in _parts(report, case):
        console.print(part)


def render_text(report: Report, case: Case | None = None, *, width: int = 100) -> str:
    """The report as plain text of at most ``width`` columns."""
    console = Console(width=width, no_color=True, force_terminal=False, markup=False, highlight=False, emoji=False)
    with console.capture() as capture:
        print_report(report, case, console)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def _parts(report: Report, case: Case | None) -> Iterable[RenderableType]:
    yield _headline(report)
    yield _times(report)
    if report.root_causes and report.verdict != "healthy":
        yield from _first_cause(report.root_causes[0], report, case)
    yield from _section("Do first", first_steps(report, case), bullet="> ")
    if report.verdict != "healthy":
        yield from _roles(report) if report.verdict == "cause" else ()
        yield from _others(report)
        yield from _section("Possible causes other than a change", [_believed(event) for event in report.operational])
        yield from _suspects(report)
        yield from _section("Similar past incidents", _similar(report))
    # The headline of an inconclusive answer says the first.
    yield from _section("What is missing", report.missing[report.verdict == "inconclusive" :], bullet="- ")
    yield from _section("Warnings", report.warnings, bullet="! ")
    if report.timings:
        yield Text(f"\nanalysed in {sum(report.timings.values()):.2f} s", style="dim")


def _headline(report: Report) -> Text:
    text = Text.assemble((_LABELS[report.verdict], _STYLES[report.verdict]))
    if report.verdict == "cause":
        first = report.root_causes[0]
        text.append(f"  {_plain(first.component)}", style="bold")
        text.append(f"  ({certainty(first)})")
    text.append(f"\n{_plain(headline(report))}")
    return text


def _times(report: Report) -> Text:
    incident = report.incident
    facts = []
    if report.onset is not None:
        facts.append(f"began about {moment(report.onset)} UTC")
    if incident.detected_at is not None:
        later = "" if report.onset is None else f", {duration(incident.alert_time - report.onset)} later"
        facts.append(f"noticed {clock(incident.alert_time)}{later}")
    return Text("\n".join([_plain(title(report)), " | ".join(facts)][: 1 + bool(facts)]), style="dim")


def _first_cause(cause: RootCause, report: Report, case: Case | None) -> Iterable[RenderableType]:
    yield from _section(
        "Why" if report.verdict == "cause" else f"Why {cause.component}", _told(cause.because[:_MOST_REASONS], cause)
    )
    yield from _section("What confirmed causes taught of it, in log odds", _learned(cause, report))
    yield from _section("Also seen there", _told(cause.beside[:_MOST_BESIDE], cause))
    if cause.change is not None:
        yield from _section("What changed", [named_change(cause.change)])
    yield from _section("How it travelled", _steps(cause, report))
    contact = contact_of(cause.component, case)
    known = [f"owner {contact.owner}"] * bool(contact.owner) + [f"runbook {contact.runbook}"] * bool(contact.runbook)
    yield from _section("Who", known)


def _learned(cause: RootCause, report: Report) -> list[str]:
    """The largest parts of a score that learned weights gave, and the sum of the others."""
    told, rest = cause.learned[:_MOST_LEARNED], cause.learned[_MOST_LEARNED:]
    lines = []
    for part in told:
        what = part.what or event_sentence(report.graph.events[report.graph.code(part.events[0])])
        lines.append(f"{part.value:+6.2f}  {what}")
    return [*lines, f"{sum(part.value for part in rest):+6.2f}  everything else"] if rest else lines


def _told(events: Sequence[Event], cause: RootCause) -> list[Text]:
    return [
        Text.assemble((f"{clock(event.start)}  ", "dim"), _plain(reason_sentence(event, cause))) for event in events
    ]


def _roles(report: Report) -> Iterable[RenderableType]:
    """Critical failures and impact; the root cause stands above."""
    kinds: dict[str, list[str]] = {}
    for event in report.critical[:_MOST_CRITICAL]:
        kinds.setdefault(event.component, []).append(kind_text(event).rstrip("."))
    lines = [f"{component}: {'; '.join(dict.fromkeys(texts))}" for component, texts in kinds.items()]
    yield from _section("Critical failure", lines)
    yield from _section("Impact, explained by the cause", [listing(report.impact, 12)] if report.impact else [])


def _believed(event: Event) -> str:
    return f"{percent(event.severity):>5}  {event_sentence(event)}"


def _steps(cause: RootCause, report: Report) -> list[Text]:
    steps: list[Text] = []
    for place, event in enumerate(cause.chain):
        rule = _rule_between(report, cause.chain[place - 1].id, event.id) if place else ""
        lead = "-> " if place else "   "
        step = Text.assemble((f"{clock(event.start)}  ", "dim"), lead, (_plain(event.component), "bold"))
        step.append(f" {_plain(event.kind)}")
        if event.name and event.name != event.kind:
            step.append(f" {_plain(event.name)}", style="dim")
        if rule:
            step.append(f"  ({_plain(rule)})", style="dim italic")
        steps.append(step)
    return steps if len(steps) > 1 else []


def _rule_between(report: Report, cause: str, effect: str) -> str:
    if cause not in report.graph.index or effect not in report.graph.index:
        return ""
    return next((link.rule.name for link in report.graph.effects_of(cause) if link.effect.id == effect), "")


def _others(report: Report) -> Iterable[RenderableType]:
    others = report.root_causes[1:]
    if not others:
        return
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    grid.add_column(no_wrap=True)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(overflow="fold")
    for cause in others:
        reason = cause.against or cause.sentence
        grid.add_row(_plain(cause.component), percent(cause.confidence), _plain(reason))
    yield Text("\nOther candidates, and why not they", style="bold")
    yield Padding(grid, (0, 0, 0, 2))


def _suspects(report: Report) -> Iterable[RenderableType]:
    if not report.suspects:
        return
    shown = [s for s in report.suspects if s.probability >= _WORTH_SHOWING or s.change.id == report.culprit]
    if not shown:
        count = len(report.suspects)
        known = "The only change of the time before is" if count == 1 else f"None of {count} changes before is"
        yield from _section("Changes", [f"{known}{' not' if count == 1 else ''} suspicious."])
        return
    lines = [f"{percent(suspect.probability):>5}  {named_change(suspect)}" for suspect in shown[:3]]
    name = (
        "Changes under suspicion" if report.culprit != "none" else "Changes, none of which is believed to have done it"
    )
    yield from _section(name, lines)


def _similar(report: Report) -> list[str]:
    lines = [f"{percent(past.similarity):>5}  {similar_sentence(past)}" for past in report.similar]
    return [*lines, *raised_sentences(report)] if lines else []


def _section(name: str, lines: Iterable[str | Text], *, bullet: str = "") -> Iterable[RenderableType]:
    grid = Table.grid(padding=0)
    if bullet:
        grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for line in lines:
        text = line if isinstance(line, Text) else Text(_plain(line))
        grid.add_row(*([bullet, text] if bullet else [text]))
    if grid.row_count:
        yield Text(f"\n{name}", style="bold")
        yield Padding(grid, (0, 0, 0, 2))


def _plain(text: str) -> str:
    """Telemetry is not to be trusted: nothing in it may steer the terminal."""
    return "".join(c if c.isprintable() else " " for c in text)
