"""Every form of a message: who understands it, and what it takes to send it.

Sources: PagerDuty's REST API, Events API v2 and Change Events; Slack's incoming webhooks and Block Kit;
Grafana's HTTP API for annotations; Opsgenie's and Jira Service Management's alert notes; CDEvents 0.4
in CloudEvents 1.0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from rca.notify.annotations import (
    find_annotation,
    grafana,
    holds_annotation,
    holds_opsgenie_note,
    list_opsgenie_notes,
    opsgenie,
)
from rca.notify.message import Occasion, Outgoing
from rca.notify.pagerduty import (
    holds_reference,
    list_notes,
    pagerduty_change,
    pagerduty_event,
    pagerduty_note,
    pagerduty_resolve,
)
from rca.notify.programs import cdevents, elastic, webhook
from rca.notify.slack import slack
from rca.notify.summary import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One kind of receiver.

    Attributes:
        render: makes the request.
        url: where it is sent where the target names no URL, "" where it has to.
        keyed: whether it needs a secret.
        page: whose id of the page it needs: "pagerduty" (its incident), "group" (the alias of
            Alertmanager's group), "" where it needs none.
        verdicts: what is worth telling there.
        of_change: whether only a change that is believed is worth telling.
        find: asks for what was sent before, where sending twice would show twice; ``found`` looks for it in the answer.
        resolve: the request that ends what ``render`` began.
    """

    render: Callable[[Summary, Occasion], Outgoing]
    url: str = ""
    keyed: bool = False
    page: str = ""
    verdicts: frozenset[str] = frozenset({"cause", "inconclusive", "healthy"})
    of_change: bool = False
    find: Callable[[Occasion], Outgoing] | None = None
    found: Callable[[bytes, Occasion], bool] | None = None
    resolve: Callable[[Summary, Occasion], Outgoing] | None = None


_TROUBLE = frozenset({"cause", "inconclusive"})
FORMS: Mapping[str, Form] = MappingProxyType(
    {
        "pagerduty-note": Form(
            render=pagerduty_note,
            url="https://api.pagerduty.com",
            keyed=True,
            page="pagerduty",
            find=list_notes,
            found=holds_reference,
        ),
        "pagerduty-event": Form(
            render=pagerduty_event,
            url="https://events.pagerduty.com",
            keyed=True,
            verdicts=_TROUBLE,
            resolve=pagerduty_resolve,
        ),
        "pagerduty-change": Form(
            render=pagerduty_change,
            url="https://events.pagerduty.com",
            keyed=True,
            verdicts=frozenset({"cause"}),
            of_change=True,
        ),
        "slack": Form(render=slack),
        "grafana": Form(render=grafana, keyed=True, find=find_annotation, found=holds_annotation),
        "opsgenie": Form(
            render=opsgenie,
            url="https://api.opsgenie.com",
            keyed=True,
            page="group",
            find=list_opsgenie_notes,
            found=holds_opsgenie_note,
        ),
        "webhook": Form(render=webhook),
        "cdevents": Form(render=cdevents),
        "elastic": Form(render=elastic),
    }
)


def render(form: str, summary: Summary, on: Occasion) -> Outgoing:
    """The request that tells a receiver of an incident; ``form`` is one of ``FORMS``."""
    return FORMS[form].render(summary, on)
