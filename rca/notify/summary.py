"""The page in a few lines: cause, confidence, why, how it travelled, what changed, whom to call, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FAILED = "failed"
_LABELS = {
    "cause": "ROOT CAUSE",
    "inconclusive": "INCONCLUSIVE",
    "healthy": "NOTHING ABNORMAL",
    FAILED: "ANALYSIS FAILED",
}
_SUBJECTS = {
    "inconclusive": "Root cause: inconclusive",
    "healthy": "Nothing abnormal was found",
    FAILED: "Analysis failed: the cause is not known",
}
_MOST_REASONS, _MOST_OTHERS, _MOST_MISSING = 3, 3, 2
# A sentence of evidence is as long as telemetry makes it: an operation or a log line may be in it.
_LONGEST = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What is told of one report, or that there is none; texts are plain, without anybody's markup.

    Attributes:
        incident, title, url: of the incident; ``url`` is its page, "" where the service has no public address.
        verdict: "cause", "inconclusive" or "healthy"; "failed" where there is no report.
        headline: the answer in one sentence.
        component: the first candidate, "" where there is none.
        confidence: in [0, 1], of the first candidate.
        reasons: the evidence against it, strongest first.
        chain: how the failure travelled, "component: what" a step.
        change: the change that is believed to have done it, "" where none is.
        owner, runbook: of the first candidate, "" where nobody said.
        steps: what to do first.
        others: further candidates as (component, confidence).
        missing: what would have made the answer surer.
        degraded: what could not be used.
        onset, detected: RFC 3339, "" where unknown.
    """

    incident: str
    title: str
    url: str
    verdict: str
    headline: str
    component: str
    confidence: float
    reasons: tuple[str, ...]
    chain: tuple[str, ...]
    change: str
    owner: str
    runbook: str
    steps: tuple[str, ...]
    others: tuple[tuple[str, float], ...]
    missing: tuple[str, ...]
    degraded: tuple[str, ...]
    onset: str
    detected: str

    @property
    def subject(self) -> str:
        """One line: what happened, as a title."""
        if self.verdict == "cause":
            return f"Root cause: {self.component} ({self.confidence:.0%})"
        return _SUBJECTS[self.verdict]

    @property
    def gist(self) -> tuple[str, ...]:
        """What the message says, without its shades: the same gist is not worth a second message."""
        if self.verdict == FAILED:
            return (self.verdict, self.headline)
        others = () if self.verdict == "cause" else tuple(sorted(name for name, _ in self.others))
        return (self.verdict, self.component, self.change, *others)

    def lines(self) -> list[str]:
        """The whole message as plain lines, the most important first."""
        first = _LABELS[self.verdict]
        if self.verdict == "cause":
            first += f"  {self.component}  ({self.confidence:.0%})"
        out = [first, self.headline]
        out += [f"- {reason}" for reason in self.reasons]
        out += [f"What changed: {self.change}"] * bool(self.change)
        out += [f"How it travelled: {' -> '.join(self.chain)}"] * bool(self.chain)
        out += [f"Do first: {step}" for step in self.steps]
        out += [f"Owner: {self.owner}"] * bool(self.owner)
        out += [f"Runbook: {self.runbook}"] * bool(self.runbook)
        if self.others:
            out.append(f"Other candidates: {', '.join(f'{name} ({share:.0%})' for name, share in self.others)}")
        out += [f"Missing: {each}" for each in self.missing]
        out += [f"Degraded: {each}" for each in self.degraded]
        return [*out, self.url] if self.url else out


def summarize(document: Mapping[str, Any], *, url: str = "") -> Summary:
    """The summary of a report's document (see ``rca.report.document``).

    Args:
        document: as ``to_document`` makes it, with a case where owners and runbooks shall be told.
        url: the incident's page.
    """
    verdict = str(document["verdict"])
    causes = document["root_causes"] if verdict != "healthy" else []
    first = causes[0] if causes else None
    incident = document["incident"]
    contact = _contact(document, first)
    return Summary(
        incident=str(incident["id"]),
        title=_bounded(incident["title"] or incident["id"]),
        url=url,
        verdict=verdict,
        headline=_bounded(document["headline"]),
        component="" if first is None else str(first["component"]),
        confidence=0.0 if first is None else float(first["confidence"]),
        reasons=() if first is None else _sentences(document, first),
        chain=_chain(document, first) if verdict == "cause" else (),
        change=_change(document, first),
        owner=contact.get("owner", ""),
        runbook=contact.get("runbook", ""),
        steps=tuple(_bounded(step) for step in document["first_steps"]),
        others=tuple((str(c["component"]), float(c["confidence"])) for c in causes[1 : 1 + _MOST_OTHERS]),
        missing=tuple(_bounded(each) for each in document["missing"][:_MOST_MISSING]),
        degraded=tuple(_bounded(each) for each in document["degraded"]),
        onset=document["onset"] or "",
        detected=incident["detected_at"] or "",
    )


def summarize_failure(
    *, incident: str, title: str, problem: str, where: str, remedy: str, again: float, url: str = "", detected: str = ""
) -> Summary:
    """What is told where an analysis failed: nothing was found, why, and what to do.

    Args:
        incident, title, url, detected: of the incident.
        problem, where, remedy: what failed, in what, and what to do about it; "" where nobody knows.
        again: seconds after which it is tried again by itself; 0: not any more.
    """
    after = f"It is tried again in {again:g} s." if again else "It is not tried again by itself."
    steps = ["Look for the cause by hand: nothing has been found.", *([remedy] * bool(remedy))]
    return Summary(
        incident=incident,
        title=_bounded(title or incident),
        url=url,
        verdict=FAILED,
        headline=f"{_bounded(f'{problem} ({where})' if where else problem)}. {after}",
        component="",
        confidence=0.0,
        reasons=(),
        chain=(),
        change="",
        owner="",
        runbook="",
        steps=tuple(_bounded(step) for step in steps),
        others=(),
        missing=(),
        degraded=(),
        onset="",
        detected=detected,
    )


def _contact(document: Mapping[str, Any], first: Mapping[str, Any] | None) -> Mapping[str, str]:
    known: list[Mapping[str, str]] = document["contacts"]
    return next((each for each in known if first is not None and each["component"] == first["component"]), {})


def _sentences(document: Mapping[str, Any], first: Mapping[str, Any]) -> tuple[str, ...]:
    ids = [id for id in first["because"][:_MOST_REASONS] if id in document["events"]]
    others = first.get("taken_over", {})
    return tuple(_bounded(others.get(id) or _told(document["events"][id])) for id in ids)


def _told(event: Mapping[str, Any]) -> str:
    evidence = event["evidence"]
    return evidence["sentence"] if evidence and evidence["sentence"] else f"{event['kind']} {event['name']}".strip()


def _chain(document: Mapping[str, Any], first: Mapping[str, Any] | None) -> tuple[str, ...]:
    if first is None or len(first["chain"]) < 2:  # one event is no journey
        return ()
    events = [document["events"][id] for id in first["chain"] if id in document["events"]]
    return tuple(_bounded(f"{event['component']}: {event['kind']}") for event in events)


def _change(document: Mapping[str, Any], first: Mapping[str, Any] | None) -> str:
    if first is None or not first["change"] or first["change"] != document["culprit"]:
        return ""
    found = [each for each in document["suspects"] if each["change"]["id"] == first["change"]]
    return _bounded(f"“{found[0]['change']['name']}” {found[0]['sentence']}") if found else ""


def _bounded(text: str) -> str:
    """At most 300 characters, nothing in them that steers a terminal or a chat."""
    plain = "".join(c if c.isprintable() else " " for c in str(text))
    return plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST - 1]}…"
