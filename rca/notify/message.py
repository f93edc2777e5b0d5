"""One message as a request: what each receiver's form is made with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from rca.notify.summary import Summary

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One request to be sent: to ``path`` below the target's URL ("" where the URL is complete)."""

    method: str = "POST"
    path: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """What a form needs to know beside the summary.

    Attributes:
        secret: the receiver's token, key or signing secret.
        sender: the address of a user that PagerDuty knows, the name that Opsgenie shows.
        page: the receiver's own id of the page: PagerDuty's incident, Opsgenie's alias.
        group: the key that joins the page (SHA-256 of Alertmanager's group key), "" where there is none.
        now: RFC 3339.
        reference: what this message is known by, the same whenever it is sent again.
    """

    secret: str = ""
    sender: str = ""
    page: str = ""
    group: str = ""
    now: str = ""
    reference: str = ""


def mark(on: Occasion) -> str:
    """The line by which a note of an earlier attempt is found again."""
    return f"Reference: {on.reference}"


def facts_of(summary: Summary) -> dict[str, Any]:
    """What machines read of a summary."""
    return {
        "cause": summary.component,
        "confidence": round(summary.confidence, 3),
        "verdict": summary.verdict,
        "why": list(summary.reasons),
        "change": summary.change,
        "chain": list(summary.chain),
        "do_first": list(summary.steps),
        "owner": summary.owner,
        "runbook": summary.runbook,
        "missing": list(summary.missing),
    }


def links_of(summary: Summary) -> list[dict[str, str]]:
    """The incident's page and the runbook, as PagerDuty writes links."""
    links = [{"href": summary.url, "text": "Incident page"}] if summary.url else []
    if summary.runbook.startswith(("https://", "http://")):
        links.append({"href": summary.runbook, "text": "Runbook"})
    return links


def cut(text: str, most: int) -> str:
    """The text, at most so many characters long."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def to_json(value: Any) -> bytes:
    """JSON; half surrogate pairs, which UTF-8 cannot hold, become question marks."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        import json

        return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
