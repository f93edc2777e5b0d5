"""Grafana's alerting webhook: Alertmanager's form with links to dashboard and panel.

Grafana sends again after 5xx and 429, a few times within a minute, and with the group's next interval
(https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/).
Where the contact point has an HMAC secret, it signs the body in X-Grafana-Alerting-Signature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rca.sources.alertmanager import Webhook, read_webhook
from rca.sources.bodies import DEFAULT_LIMITS, Limits, decode_json, header, inflate
from rca.sources.naming import DEFAULT_NAMING, Naming
from rca.sources.received import Received
from rca.sources.signatures import check_signature

OVERLOADED = 503
ACCEPTED = 200
SIGNATURE = "X-Grafana-Alerting-Signature"
_WHERE = "Grafana webhook"


def decode_grafana(
    body: bytes,
    *,
    headers: Mapping[str, str] | None = None,
    secrets: Sequence[bytes] = (),
    naming: Naming = DEFAULT_NAMING,
    limits: Limits = DEFAULT_LIMITS,
) -> Received:
    """The alerts of one notification.

    Args:
        secrets: where there are any, the body has to be signed with one of them.

    Raises:
        SourceError: malformed; SignatureError: not signed.
    """
    headers = headers or {}
    if secrets:
        check_signature(body, header(headers, SIGNATURE), secrets, prefix="", where=_WHERE)
    content = inflate(body, header(headers, "content-encoding"), where=_WHERE, limits=limits)
    hook = decode_json(content, Webhook, where=_WHERE)
    return read_webhook(hook, sender="grafana", naming=naming, limits=limits, where=_WHERE)
