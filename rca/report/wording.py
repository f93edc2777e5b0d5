"""What a report says in words: headlines, certainty, events, lists."""

from __future__ import annotations

from collections.abc import Sequence

from rca.kinds import load_kinds
from rca.quantities import duration, percent
from rca.types import MINUTE, Event, Report, RootCause, SimilarIncident, Suspect

# Below this the first candidate is hardly likelier than the second of two: say so in words.
_SURE, _LIKELY = 0.8, 0.5
# Less than this rounds to no percent.
_WORTH_SAYING = 0.005


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
        why = report.missing[0] if report.missing else "the evidence does not separate the candidates"
        return f"No cause is believed, for {why}. Candidates: {names}."
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


def reason_sentence(event: Event, cause: RootCause) -> str:
    """The evidence of an event that counts against a cause; what it shows elsewhere was taken over from there."""
    told = event_sentence(event)
    if event.component == cause.component:
        return told
    own = min((each.start for each in cause.because if each.component == cause.component), default=None)
    seen = ""
    if own is not None and abs(own - event.start) >= MINUTE:
        seen = f", where the cause was seen {duration(own - event.start)} {'later' if own > event.start else 'before'}"
    return f"{told}; taken over from {event.component}, which depends on {cause.component}{seen}"


def named_change(suspect: Suspect) -> str:
    """A change by its name, and what is said of it."""
    return f"“{suspect.change.name}” {suspect.sentence}"


def similar_cause(past: SimilarIncident) -> str:
    """What was confirmed of a past incident."""
    return f"{past.component}, {past.kind}" if past.kind else past.component


def similar_sentence(past: SimilarIncident) -> str:
    """A past incident by its name, what was confirmed of it, and what ended it."""
    name = f"“{past.title}” ({past.incident})" if past.title else past.incident
    ended = f"; ended by: {'; '.join(past.resolutions)}" if past.resolutions else ""
    return f"{name}: {similar_cause(past)}{f', {past.change}' if past.change else ''}{ended}"


def raised_sentences(report: Report) -> tuple[str, ...]:
    """By how much similar incidents raise the strength of the candidates' evidence."""
    raised = [cause for cause in report.root_causes if cause.precedent >= _WORTH_SAYING]
    return tuple(f"They raise the strength of {cause.component} by {percent(cause.precedent)}." for cause in raised)


def kind_text(event: Event) -> str:
    """What an event means, in the words of the catalogue."""
    kind = load_kinds().get(event.kind)
    return event.kind if kind is None else kind.text
