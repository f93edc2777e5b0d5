"""Sends what is to be told: at least once, later and later after failures, and never for ever.

A message that was accepted is settled in the store. Where the service dies between the answer and that,
or an answer is lost, it is sent again: receivers know a repetition by its reference (PagerDuty's events
by their key, webhooks by ``Idempotency-Key``, CloudEvents by their id); a note on a PagerDuty incident or an
Opsgenie alert and an annotation in Grafana are looked for before they are posted once more. Slack's incoming
webhooks answer no questions and know no repetition: Slack may then show it twice.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import httpx

from rca.errors import RCAError
from rca.notify.endpoints import Target
from rca.notify.forms import FORMS
from rca.notify.guard import ForbiddenError, TooMuchError
from rca.notify.message import Occasion, Outgoing
from rca.notify.networks import read_networks
from rca.service.logs import LOGGER
from rca.service.telling import read_message
from rca.stores.records import Delivery, DeliveryState
from rca.types import SECOND, to_text

if TYPE_CHECKING:
    from rca.service.configuration import Configuration
    from rca.service.metrics import Metrics
    from rca.stores.protocol import Store

AGAIN = frozenset({408, 425, 429})
# A token that may post and not read: twice is better than never.
UNSEEN = frozenset({401, 403, 404})
_SIDE_BY_SIDE = 8
_POLL = 1.0  # seconds after which messages of other replicas, and those that wait for their time, are looked for
_FIRST, _LONGEST_PAUSE, _LONGEST_ASKED = 2.0, 300.0, 3_600.0
_REASON = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of an attempt; ``after`` are the seconds that the receiver asks to wait."""

    state: DeliveryState
    error: str = ""
    receipt: str = ""
    after: float = 0.0


def pause_of(attempt: int, after: float, draw: Callable[[], float] = random.random) -> float:
    """Seconds until the next attempt: twice as many each time, half of them drawn, at least what was asked for."""
    longest = min(_FIRST * 2.0 ** (attempt - 1), _LONGEST_PAUSE)
    return max(longest * (0.5 + 0.5 * draw()), min(after, _LONGEST_ASKED))


class Courier:
    """Sends the deliveries of the store to the targets of the configuration."""

    def __init__(self, configuration: Configuration, store: Store, metrics: Metrics) -> None:
        self._configuration = configuration
        self._store = store
        self._metrics = metrics
        self._wake = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        allowed = read_networks(configuration.allowed_networks, where="allowed_networks")
        self._targets = {target.name: target for target in configuration.targets}
        self._clients = {target.name: target.client(allowed) for target in configuration.targets}

    def wake(self) -> None:
        """Says that there is something to send."""
        self._wake.set()

    async def run(self) -> None:
        """Sends until it is cancelled; what is under way then is finished first."""
        try:
            while True:
                self._wake.clear()
                if not await self._take():
                    try:
                        async with asyncio.timeout(_POLL):
                            await self._wake.wait()
                    except TimeoutError:
                        continue
        finally:
            await asyncio.gather(*self._running, return_exceptions=True)
            for client in self._clients.values():
                client.close()

    async def _take(self) -> bool:
        """Begins what is due; whether there may be more."""
        room = _SIDE_BY_SIDE - len(self._running)
        if room <= 0:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            return True
        seconds = max([target.seconds for target in self._targets.values()], default=10.0)
        now = time.time_ns()
        lease = now + int((2 * seconds + 10) * SECOND)  # it is looked for, and sent
        try:
            found = await asyncio.wrap_future(self._store.claim_deliveries(now, lease, limit=room))
        except RCAError as error:  # the store is away: it may come back
            LOGGER.error("no message can be taken up", extra={"problem": str(error)})
            return False
        for delivery in found:
            task = asyncio.create_task(self._deliver(delivery))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return len(found) == room

    async def _deliver(self, delivery: Delivery) -> None:
        outcome = await asyncio.to_thread(self.send, delivery)
        due = 0
        if outcome.state == "waiting" and delivery.attempt >= self._configuration.delivery_attempts:
            error = f"given up after {delivery.attempt} attempts: {outcome.error}"[:_REASON]
            outcome = Outcome(state="dead", error=error)
        if outcome.state == "waiting":
            due = time.time_ns() + int(pause_of(delivery.attempt, outcome.after) * SECOND)
        settled = self._store.settle_delivery(
            delivery.id, delivery.attempt, outcome.state, due=due, error=outcome.error, receipt=outcome.receipt
        )
        try:
            await asyncio.wrap_future(settled)
        except RCAError as error:  # it is sent again when its lease ends
            LOGGER.error("a message was not settled", extra={"delivery": delivery.id, "problem": str(error)})
        told = {"sent": "sent", "waiting": "failed", "dead": "dead"}[outcome.state]
        self._metrics.deliveries.labels(delivery.target, told).inc()
        level = {"sent": logging.INFO, "waiting": logging.WARNING, "dead": logging.ERROR}[outcome.state]
        facts = {"delivery": delivery.id, "incident": delivery.incident, "target": delivery.target}
        LOGGER.log(level, "message %s", told, extra=facts | {"attempt": delivery.attempt, "problem": outcome.error})

    def send(self, delivery: Delivery) -> Outcome:
        """One attempt; blocks."""
        target = self._targets.get(delivery.target)
        if target is None:
            return Outcome(state="dead", error="the target is not in the configuration any more")
        try:
            return self._exchange(target, delivery)
        except (ForbiddenError, TooMuchError, httpx.InvalidURL, httpx.UnsupportedProtocol) as bad:
            return Outcome(state="dead", error=_without_secrets(str(bad), target))
        except httpx.HTTPError as bad:
            text = _without_secrets(f"no answer ({type(bad).__name__}: {bad})", target)
            return Outcome(state="waiting", error=text)
        except (RCAError, ValueError) as bad:  # a message that an older version wrote
            return Outcome(state="dead", error=_without_secrets(f"cannot be rendered: {bad}", target))

    def _exchange(self, target: Target, delivery: Delivery) -> Outcome:
        form, message = FORMS[target.form], read_message(delivery)
        occasion = Occasion(
            secret=target.secret,
            sender=target.sender,
            page=message.page,
            group=message.group,
            now=to_text(time.time_ns()),
            reference=delivery.id,
        )
        if delivery.attempt > 1 and form.find is not None and form.found is not None:
            answer = self._ask(target, form.find(occasion))
            if answer.is_success and form.found(answer.content, occasion):
                return Outcome(state="sent", receipt="an earlier attempt had arrived")
            if not answer.is_success and answer.status_code not in UNSEEN:
                return _refused(answer, target)
        render = form.resolve if message.action == "resolve" and form.resolve is not None else form.render
        answer = self._ask(target, render(message.summary, occasion))
        if not answer.is_success:
            return _refused(answer, target)
        receipt = _without_secrets(f"{answer.status_code} {answer.text}".strip(), target)
        return Outcome(state="sent", receipt=receipt)

    def _ask(self, target: Target, request: Outgoing) -> httpx.Response:
        url = (target.url or FORMS[target.form].url).rstrip("/") + request.path
        headers = {**target.headers, **request.headers}
        return self._clients[target.name].request(request.method, url, headers=headers, content=request.body or None)


def _refused(answer: httpx.Response, target: Target) -> Outcome:
    status = answer.status_code
    if 300 <= status < 400:
        return Outcome(state="dead", error=f"answers {status}: redirects are not followed")
    error = _without_secrets(f"answers {status}: {answer.text}".strip(": "), target)
    if status in AGAIN or status >= 500:
        return Outcome(state="waiting", error=error, after=_asked(answer.headers.get("retry-after", "")))
    return Outcome(state="dead", error=error)


def _asked(text: str) -> float:
    """The seconds of a Retry-After: a number, or a date."""
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _without_secrets(text: str, target: Target) -> str:
    for secret in (target.secret, target.url):
        if secret:
            text = text.replace(secret, "…")
    return "".join(c if c.isprintable() else " " for c in text)[:_REASON]
