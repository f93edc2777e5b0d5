"""Who is told what of a report: one message for each target and page, known by what it says."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from rca.notify.endpoints import Target
from rca.notify.forms import FORMS
from rca.notify.summary import Summary, summarize
from rca.service.configuration import Configuration
from rca.service.views import API
from rca.stores.records import AlertRecord, Delivery, IncidentRecord

Action = Literal["tell", "resolve"]


class Message(msgspec.Struct, frozen=True):
    """What a delivery holds; never a secret.

    ``page`` is the receiver's own id of the page, ``group`` the key by which alerts of one group are joined.
    """

    action: Action
    summary: Summary
    page: str = ""
    group: str = ""


def deliveries_of(
    configuration: Configuration,
    incident: IncidentRecord,
    document: Mapping[str, Any],
    alerts: Sequence[AlertRecord],
    now: int,
) -> list[Delivery]:
    """What is to be sent of a report.

    Args:
        incident: as the store has it.
        document: the report (see ``rca.report.document``).
        alerts: of the incident; none where it was posted.
        now: ns.
    """
    summary = replace(summarize(document, url=page_url(configuration, incident.id)), incident=incident.id)
    return messages_of(configuration, incident, summary, alerts, now)


def messages_of(
    configuration: Configuration,
    incident: IncidentRecord,
    summary: Summary,
    alerts: Sequence[AlertRecord],
    now: int,
) -> list[Delivery]:
    """What is to be sent of a summary; see ``deliveries_of``."""
    return [
        _delivery(target, Message(action="tell", summary=summary, page=page, group=group), incident.id, now)
        for target in configuration.targets
        if _is_told(target, incident, summary, alerts)
        for page, group in _pages(target, alerts)
    ]


def resolutions_of(configuration: Configuration, incident: str, sent: Sequence[Delivery], now: int) -> list[Delivery]:
    """What ends what was begun, where an incident is over."""
    ended: dict[str, Delivery] = {}
    for delivery in sent:
        target = next((each for each in configuration.targets if each.name == delivery.target), None)
        message = read_message(delivery)
        if target is None or FORMS[target.form].resolve is None or message.action != "tell":
            continue
        resolution = msgspec.structs.replace(message, action="resolve")
        made = _delivery(target, resolution, incident, now)
        ended[made.id] = made
    return list(ended.values())


def read_message(delivery: Delivery) -> Message:
    """What a delivery holds."""
    return msgspec.json.decode(delivery.body.encode(), type=Message)


def _is_told(target: Target, incident: IncidentRecord, summary: Summary, alerts: Sequence[AlertRecord]) -> bool:
    form = FORMS[target.form]
    if form.of_change and not summary.change:
        return False
    if form.resolve is not None and incident.state != "open":  # it would begin what is over
        return False
    components = [name for name in (summary.component, *(alert.component for alert in alerts)) if name]
    labels = [alert.labels for alert in alerts]
    return target.wants(summary.verdict, components, labels, from_alerts=bool(alerts))


def _pages(target: Target, alerts: Sequence[AlertRecord]) -> list[tuple[str, str]]:
    """(page, group) of each message: one for each page that somebody looks at."""
    form = FORMS[target.form]
    groups = [alert.groups[0] for alert in alerts if alert.groups and not alert.page]
    if form.page == "pagerduty":
        return [(page, "") for page in dict.fromkeys(alert.page for alert in alerts) if page]
    if form.page == "group":
        return [(group, group) for group in dict.fromkeys(groups)]
    if form.resolve is not None:
        return [("", group) for group in dict.fromkeys(groups)] or [("", "")]
    return [("", groups[0] if groups else "")]


def _delivery(target: Target, message: Message, incident: str, now: int) -> Delivery:
    known = [incident, target.name, message.action, message.page, message.group if not message.page else ""]
    mixed = hashlib.sha256(msgspec.json.encode([*known, *message.summary.gist]))
    return Delivery(
        id=f"dlv-{mixed.hexdigest()[:24]}",
        incident=incident,
        target=target.name,
        state="waiting",
        attempt=0,
        due=now,
        created=now,
        body=msgspec.json.encode(message).decode(),
    )


def page_url(configuration: Configuration, incident: str) -> str:
    """The page of an incident; "" where nobody said how the service is reached."""
    base = configuration.public_url.rstrip("/")
    return f"{base}{API}/incidents/{quote(incident)}/page" if base else ""
