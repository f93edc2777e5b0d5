"""What alerting systems have in common: severities as words, labels as components, links."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from rca.kinds import load_kinds

# The words of Alertmanager's users, PagerDuty, Grafana, syslog and Kubernetes.
_SEVERITIES = {
    **dict.fromkeys(("critical", "page", "emergency", "fatal", "disaster", "p1", "sev1", "sev-1", "1"), 1.0),
    **dict.fromkeys(("error", "high", "major", "alert", "p2", "sev2", "sev-2", "2"), 0.8),
    **dict.fromkeys(("warning", "warn", "minor", "medium", "average", "p3", "sev3", "sev-3", "3"), 0.5),
    **dict.fromkeys(("info", "information", "informational", "low", "notice", "none", "normal", "ok"), 0.2),
    **dict.fromkeys(("p4", "p5", "sev4", "sev5", "sev-4", "sev-5", "4", "5"), 0.2),
}
KIND_LABEL = "rca_kind"
_LINKS = {"runbook_url": "runbook", "runbook": "runbook", "dashboard_url": "dashboard", "dashboard": "dashboard"}
_URL = re.compile(r"https?://\S+$")


def severity_of(word: str) -> float:
    """The severity in [0, 1] that a word means; 0.5 where it means none."""
    return _SEVERITIES.get(word.strip().lower(), 0.5)


def kind_of_labels(labels: Mapping[str, str]) -> str:
    """The kind of the catalogue that the label ``rca_kind`` names; else ``alert.firing``."""
    kind = labels.get(KIND_LABEL, "")
    return kind if kind in load_kinds() else "alert.firing"


def links_of(annotations: Mapping[str, str], **urls: str) -> dict[str, str]:
    """Links of an alert: what its annotations and its sender give."""
    found = dict(urls)
    found |= {link: annotations[name] for name, link in _LINKS.items() if annotations.get(name)}
    return {name: url for name, url in sorted(found.items()) if _URL.match(url)}


def text_of(annotations: Mapping[str, str]) -> str:
    """What an alert says: its summary and its description."""
    said = [annotations.get(name, "") for name in ("summary", "message", "description")]
    return "\n".join(dict.fromkeys(part for part in said if part))


def clock_now() -> int:
    """Now, in ns: the time of events whose sender gives none."""
    return time.time_ns()
