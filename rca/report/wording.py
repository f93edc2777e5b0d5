"""How times, shares and lists are written in a report. All times are UTC."""

from __future__ import annotations

from collections.abc import Sequence

from rca.types import SECOND, Event, Report, RootCause, to_text

# Below this the first candidate is hardly likelier than the second of two: say so in words.
_SURE, _LIKELY = 0.8, 0.5


def clock(time: int) -> str:
    """Hours, minutes and seconds: "14:03:20"."""
    return to_text(time)[11:19]


def moment(time: int) -> str:
    """Date and time without the letters between: "2026-03-02 14:03:20"."""
    return to_text(time)[:19].replace("T", " ")


def duration(nanoseconds: int) -> str:
    """The two largest units: "2 h 5 min", "40 s"."""
    seconds = round(abs(nanoseconds) / SECOND)
    parts = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def percent(share: float) -> str:
    """A share as people write it: "87 %"; "< 1 %" where it would round to nothing."""
    if 0 < share < 0.005:
        return "< 1 %"
    return f"{100 * share:.0f} %"


def number(value: float) -> str:
    """Three significant digits, without an exponent from a thousandth to a million."""
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e6:
        digits = max(0, 2 - len(str(int(abs(value)))) + 1) if abs(value) >= 1 else 4
        text = f"{value:,.{digits}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{value:.2g}"


def listing(names: Sequence[str], most: int = 8) -> str:
    """Names with commas, the rest as a count."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def title(report: Report) -> str:
    """What the incident is called."""
    return report.incident.title or report.incident.id


def headline(report: Report) -> str:
    """The answer in one sentence."""
    if report.verdict == "healthy":
        return "Nothing abnormal was found in the window."
    if not report.root_causes:
        return "No candidate was found."
    if report.verdict == "inconclusive":
        names = listing([cause.component for cause in report.root_causes], 3)
        return f"The evidence does not separate the candidates: {names}."
    return sentence(report.root_causes[0])


def sentence(cause: RootCause) -> str:
    """What a candidate is believed to have done."""
    return cause.sentence or f"{cause.component} is where it began."


def certainty(cause: RootCause) -> str:
    """Confidence as a word and a number."""
    word = "sure" if cause.confidence >= _SURE else "likely" if cause.confidence >= _LIKELY else "uncertain"
    return f"{word}, {percent(cause.confidence)}"


def event_sentence(event: Event) -> str:
    """The evidence of an event, or what happened where it has none."""
    if event.evidence is not None and event.evidence.sentence:
        return event.evidence.sentence
    return f"{event.kind} ({event.name})" if event.name else event.kind


def step_text(event: Event) -> str:
    """One step of a chain: who and what."""
    return f"{event.component}: {event.kind}"
