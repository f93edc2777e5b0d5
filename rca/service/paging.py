"""Which alerts a PagerDuty incident is about: asked of PagerDuty, because its webhooks do not say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from rca.errors import RCAError
from rca.notify.forms import FORMS
from rca.notify.message import Occasion
from rca.notify.networks import read_networks
from rca.notify.pagerduty import list_alerts, read_alert_keys
from rca.service.logs import LOGGER

if TYPE_CHECKING:
    from rca.service.configuration import Configuration

# PagerDuty waits five seconds for the answer to its webhook.
_SECONDS = 3.0


class PageReader:
    """Asks PagerDuty with the token of the first target of the form ``pagerduty-note``."""

    def __init__(self, configuration: Configuration) -> None:
        found = [target for target in configuration.targets if target.form == "pagerduty-note"]
        self._target = found[0] if found else None
        self._allowed = read_networks(configuration.allowed_networks, where="allowed_networks")

    def keys_of(self, page: str) -> tuple[str, ...]:
        """The keys of the alerts that an incident groups; none where PagerDuty does not say. Blocks."""
        target = self._target
        if target is None:
            return ()
        asked = list_alerts(page, Occasion(secret=target.secret))
        url = (target.url or FORMS[target.form].url).rstrip("/") + asked.path
        try:
            with target.client(self._allowed, seconds=_SECONDS) as client:
                answer = client.request(asked.method, url, headers={**target.headers, **asked.headers})
            if answer.is_success:
                return read_alert_keys(answer.content)
            problem = f"answers {answer.status_code}"
        except (RCAError, httpx.HTTPError, httpx.InvalidURL) as bad:
            problem = f"{type(bad).__name__}: {bad}"[:300]
        # The page still finds its incident by the key that the webhook itself gives, or by place and time.
        LOGGER.warning("PagerDuty did not say which alerts a page is about", extra={"page": page, "problem": problem})
        return ()
