"""Slack: blocks for an incoming webhook."""

from __future__ import annotations

from typing import Any

from rca.notify.message import JSON, Occasion, Outgoing, cut, to_json
from rca.notify.summary import Summary

_SECTION, _HEADER, _FALLBACK = 3_000, 150, 3_000


def slack(summary: Summary, on: Occasion) -> Outgoing:
    """Blocks for an incoming webhook; the URL is the secret."""
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": cut(summary.subject, _HEADER)}},
        _section(f"*{_mrkdwn(summary.title)}*\n{_mrkdwn(summary.headline)}"),
    ]
    for name, lines in (
        ("Why", summary.reasons),
        ("What changed", (summary.change,) if summary.change else ()),
        ("How it travelled", (" → ".join(summary.chain),) if summary.chain else ()),
        ("Do first", summary.steps),
        ("Missing", summary.missing),
        ("Degraded", summary.degraded),
    ):
        if lines:
            blocks.append(_section("\n".join([f"*{name}*", *(f"• {_mrkdwn(line)}" for line in lines)])))
    context = [f"owner {summary.owner}"] * bool(summary.owner) + [f"runbook {summary.runbook}"] * bool(summary.runbook)
    context += [f"also {name} ({share:.0%})" for name, share in summary.others]
    if context:
        elements = [{"type": "mrkdwn", "text": cut(_mrkdwn(each), _SECTION)} for each in context[:10]]
        blocks.append({"type": "context", "elements": elements})
    if summary.url:
        button = {"type": "button", "text": {"type": "plain_text", "text": "Open incident"}, "url": summary.url}
        blocks.append({"type": "actions", "elements": [button]})
    text = _mrkdwn(cut(f"{summary.subject}. {summary.headline}", _SECTION))
    return Outgoing(headers=JSON, body=to_json({"text": text, "blocks": blocks}))


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": cut(text, _SECTION)}}


def _mrkdwn(text: str) -> str:
    """Slack's three escapes: nothing in telemetry becomes a link or a mention."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
