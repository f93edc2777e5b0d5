"""Messages are sent at least once, later and later after failures, not for ever, and no note twice."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from rca.notify.endpoints import Target
from rca.notify.summary import Summary
from rca.service.configuration import Configuration
from rca.service.metrics import Metrics
from rca.service.outgoing import Courier, pause_of
from rca.service.telling import Message, deliveries_of, resolutions_of
from rca.stores import open_store
from rca.stores.protocol import Store
from rca.stores.records import AlertRecord, Delivery, IncidentRecord
from rca.types import SECOND

SUMMARY = Summary(
    incident="i1",
    title="Slow",
    url="",
    verdict="cause",
    headline="cart-db is slow",
    component="cart-db",
    confidence=0.9,
    reasons=("connections rose",),
    chain=(),
    change="",
    owner="",
    runbook="",
    steps=(),
    others=(),
    missing=(),
    degraded=(),
    onset="2026-01-31T12:00:00Z",
    detected="2026-01-31T12:05:00Z",
)
Answer = tuple[int, dict[str, str], str]


class Receiver(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answers: list[Answer]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/T0/secret-part"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_GET(self) -> None:
        self._reply("GET", b"")

    def do_POST(self) -> None:
        self._reply("POST", self.rfile.read(int(self.headers["Content-Length"])))

    def _reply(self, method: str, body: bytes) -> None:
        self.server.asked.append((method, self.path, dict(self.headers.items()), body))
        status, headers, text = self.server.answers.pop(0) if self.server.answers else (200, {}, "ok")
        if status == 0:  # taken, and the answer lost
            self.connection.close()
            return
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def receive() -> Iterator[Callable[..., Receiver]]:
    made: list[Receiver] = []

    def start(*answers: int | Answer) -> Receiver:
        made.append(Receiver([(each, {}, "") if isinstance(each, int) else each for each in answers]))
        return made[-1]

    yield start
    for each in made:
        each.shutdown()
        each.server_close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:{tmp_path / 'rca.db'}")
    yield opened
    opened.close()


def target(url: str, form: str = "slack", **facts: Any) -> Target:
    plain = {"name": "t", "form": form, "url": url, "allow_http": True, "networks": ("127.0.0.0/8",), "seconds": 2.0}
    return Target(**plain | facts)


def delivery(id: str = "dlv-1", **facts: Any) -> Delivery:
    body = json.dumps({"action": "tell", "summary": {n: getattr(SUMMARY, n) for n in SUMMARY.__slots__}, "page": "PD1"})
    plain = {"incident": "i1", "target": "t", "state": "waiting", "attempt": 0, "due": 0, "created": 1, "body": body}
    return Delivery(**{"id": id} | plain | facts)


def send(store: Store, to: Target, *deliveries: Delivery, until: Callable[[], bool], **facts: Any) -> None:
    """Runs a courier until something is so."""

    async def run() -> None:
        store.add_deliveries(deliveries).result()
        courier = Courier(Configuration(targets=(to,), **facts), store, Metrics())
        task = asyncio.create_task(courier.run())
        async with asyncio.timeout(30):
            while not until():
                await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


def state_of(store: Store, id: str = "dlv-1") -> str:
    return store.delivery(id).state


def test_what_was_accepted_is_sent_once_and_keeps_its_receipt(store: Store, receive: Callable[..., Receiver]) -> None:
    receiver = receive((200, {}, "ok"))
    send(store, target(receiver.url), delivery(), until=lambda: state_of(store) == "sent")
    assert store.delivery("dlv-1").receipt == "200 ok"
    assert [asked[1] for asked in receiver.asked] == ["/T0/secret-part"]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_receiver_that_is_busy_is_asked_again(store: Store, receive: Callable[..., Receiver], status: int) -> None:
    receiver = receive(status)
    send(store, target(receiver.url), delivery(), until=lambda: store.delivery("dlv-1").error != "")
    told = store.delivery("dlv-1")
    assert (told.state, told.attempt) == ("waiting", 1)
    assert str(status) in told.error
    assert told.due > time.time_ns() + 0.5 * SECOND


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 410, 413, 422])
def test_a_refusal_is_final_and_says_why(store: Store, receive: Callable[..., Receiver], status: int) -> None:
    receiver = receive((status, {"Location": "http://127.0.0.1/"}, "invalid_token"))
    send(store, target(receiver.url), delivery(), until=lambda: state_of(store) == "dead")
    assert str(status) in store.delivery("dlv-1").error
    assert len(receiver.asked) == 1


@pytest.mark.parametrize("given", ["90", "a date"])
def test_what_the_receiver_asks_to_wait_is_waited(store: Store, receive: Callable[..., Receiver], given: str) -> None:
    from email.utils import formatdate

    text = formatdate(time.time() + 90, usegmt=True) if given == "a date" else given
    receiver = receive((429, {"Retry-After": text}, ""))
    send(store, target(receiver.url), delivery(), until=lambda: store.delivery("dlv-1").error != "")
    assert store.delivery("dlv-1").due > time.time_ns() + 80 * SECOND


def test_pauses_double_up_to_five_minutes_and_are_spread() -> None:
    assert [pause_of(n, 0.0, lambda: 1.0) for n in (1, 2, 3, 12)] == [2.0, 4.0, 8.0, 300.0]
    assert pause_of(3, 0.0, lambda: 0.0) == 4.0
    assert pause_of(1, 60.0, lambda: 0.0) == 60.0
    assert pause_of(1, 1e9, lambda: 0.0) == 3_600.0


def test_a_message_is_given_up_after_its_attempts_and_sent_again_when_asked(
    store: Store, receive: Callable[..., Receiver]
) -> None:
    receiver = receive(503)
    send(store, target(receiver.url), delivery(), until=lambda: state_of(store) == "dead", delivery_attempts=1)
    assert "given up after 1 attempts" in store.delivery("dlv-1").error
    assert store.revive_delivery("dlv-1", 0).result()
    send(store, target(receiver.url), until=lambda: state_of(store) == "sent")
    assert not store.revive_delivery("dlv-1", 0).result()


def test_an_address_that_is_not_allowed_is_never_asked(store: Store, receive: Callable[..., Receiver]) -> None:
    receiver = receive()
    send(store, target(receiver.url, networks=()), delivery(), until=lambda: state_of(store) == "dead")
    assert "not public" in store.delivery("dlv-1").error
    assert receiver.asked == []


def test_a_note_whose_answer_was_lost_is_looked_for_before_it_is_posted_again(
    store: Store, receive: Callable[..., Receiver]
) -> None:
    to = {"form": "pagerduty-note", "secret": "token", "sender": "ada@shop.example"}
    receiver = receive(0)
    send(store, target(receiver.url, **to), delivery(), until=lambda: store.delivery("dlv-1").error != "")
    posted = json.loads(receiver.asked[0][3])["note"]["content"]
    receiver.answers[:] = [(200, {}, json.dumps({"notes": [{"content": "others"}, {"content": posted}]}))]
    store.settle_delivery("dlv-1", 1, "waiting", due=1).result()
    send(store, target(receiver.url, **to), until=lambda: state_of(store) == "sent")
    assert [method for method, *_ in receiver.asked] == ["POST", "GET"]
    assert "earlier attempt" in store.delivery("dlv-1").receipt


def test_a_note_that_did_not_arrive_is_posted(store: Store, receive: Callable[..., Receiver]) -> None:
    to = {"form": "pagerduty-note", "secret": "token", "sender": "ada@shop.example"}
    receiver = receive((200, {}, '{"notes": []}'), (200, {}, '{"note": {"id": "N"}}'))
    send(store, target(receiver.url, **to), delivery(attempt=1), until=lambda: state_of(store) == "sent")
    assert [method for method, *_ in receiver.asked] == ["GET", "POST"]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_must_not_be_looked_for_is_posted_again(
    store: Store, receive: Callable[..., Receiver], status: int
) -> None:
    receiver = receive((status, {}, "no"), (200, {}, '{"message": "Annotation added"}'))
    to = {"form": "grafana", "secret": "token"}
    send(store, target(receiver.url, **to), delivery(attempt=1), until=lambda: state_of(store) == "sent")
    assert [method for method, *_ in receiver.asked] == ["GET", "POST"]


def test_an_annotation_whose_answer_was_lost_is_not_made_twice(store: Store, receive: Callable[..., Receiver]) -> None:
    receiver = receive((200, {}, '[{"id": 1, "tags": ["rca", "delivery:dlv-1"]}]'))
    to = {"form": "grafana", "secret": "token"}
    send(store, target(receiver.url, **to), delivery(attempt=1), until=lambda: state_of(store) == "sent")
    assert [method for method, *_ in receiver.asked] == ["GET"]


def test_one_receiver_that_hangs_does_not_hold_up_the_others(store: Store, receive: Callable[..., Receiver]) -> None:
    receiver = receive()
    quick, slow = target(receiver.url), target("http://127.0.0.1:9/", name="slow")
    store.add_deliveries([delivery("dlv-0", target="gone"), delivery("dlv-2", target="slow")]).result()

    async def run() -> None:
        store.add_deliveries([delivery()]).result()
        courier = Courier(Configuration(targets=(slow, quick)), store, Metrics())
        task = asyncio.create_task(courier.run())
        async with asyncio.timeout(20):
            while state_of(store) != "sent" or state_of(store, "dlv-0") != "dead":
                await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    assert "not in the configuration" in store.delivery("dlv-0").error
    assert state_of(store, "dlv-2") == "waiting"


def test_no_secret_stands_in_logs_receipts_or_errors(
    store: Store, receive: Callable[..., Receiver], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    receiver = receive((500, {}, "you sent hidden-key"), (200, {}, "you sent hidden-key"))
    to = target(receiver.url, form="webhook", secret="hidden-key")
    send(store, to, delivery(), until=lambda: store.delivery("dlv-1").error != "")
    store.settle_delivery("dlv-1", 1, "waiting", due=1, error=store.delivery("dlv-1").error).result()
    send(store, to, until=lambda: state_of(store) == "sent")
    told = f"{store.delivery('dlv-1')} {caplog.text} {to}"
    assert "hidden-key" not in told
    assert "secret-part" not in told


def record(**facts: Any) -> IncidentRecord:
    return IncidentRecord(**{"id": "i1", "created": 1, "updated": 1, "start": 0, "end": 1} | facts)


def alert(component: str, **facts: Any) -> AlertRecord:
    plain = {"key": component, "start": 1, "name": "Slow", "state": "firing", "groups": (f"g-{component}",)}
    return AlertRecord(component=component, **plain | facts)


def document(verdict: str = "cause", component: str = "cart-db", confidence: float = 0.9) -> dict[str, Any]:
    cause = {"component": component, "confidence": confidence, "because": [], "chain": [], "change": None}
    incident = {"id": "i1", "title": "Slow", "detected_at": "2026-01-31T12:05:00Z"}
    empty = ("contacts", "first_steps", "missing", "degraded", "suspects")
    rest = {"events": {}, "culprit": "none", "onset": None, "headline": "h"}
    return {"incident": incident, "verdict": verdict, "root_causes": [cause], **{key: [] for key in empty}, **rest}


def ids(configuration: Configuration, *told: Any, **facts: Any) -> list[str]:
    made = deliveries_of(configuration, record(**facts), *told, 1)
    return [each.id for each in made]


def test_a_message_is_known_by_what_it_says_not_by_its_shades() -> None:
    one = Configuration(targets=(target("http://127.0.0.1/"),))
    first = ids(one, document(), [alert("web")])
    assert ids(one, document(confidence=0.91), [alert("web")]) == first
    assert ids(one, document(component="cart"), [alert("web")]) != first
    assert ids(one, document(verdict="inconclusive"), [alert("web")]) != first
    assert ids(one, document(), [alert("web")], id="i2") != first


def test_each_page_gets_its_note_and_each_group_its_event() -> None:
    note = target("http://127.0.0.1/", form="pagerduty-note", secret="s", sender="a@b.example", name="n")
    event = target("http://127.0.0.1/", form="pagerduty-event", secret="s", name="e")
    both = Configuration(targets=(note, event))
    alerts = [alert("web"), alert("cart"), alert("Shop", page="PD1"), alert("Shop", key="2", page="PD2")]
    made = deliveries_of(both, record(), document(), alerts, 1)
    assert [each.target for each in made] == ["n", "n", "e", "e"]
    assert len({each.id for each in made}) == 4
    assert [each.target for each in deliveries_of(both, record(state="closed"), document(), alerts, 1)] == ["n", "n"]
    ended = resolutions_of(both, "i1", made, 2)
    assert len(ended) == 2
    assert resolutions_of(both, "i1", ended, 3) == []


def test_targets_choose_by_verdict_component_label_and_origin() -> None:
    def told(alerts: list[AlertRecord], verdict: str = "cause", **facts: Any) -> bool:
        return bool(ids(Configuration(targets=(target("http://127.0.0.1/", **facts),)), document(verdict), alerts))

    shop = [alert("web", labels={"team": "shop-1"})]
    assert told(shop)
    assert told(shop, verdicts=("cause",))
    assert not told(shop, "inconclusive", verdicts=("cause",))
    assert told(shop, components=("cart-*",))
    assert told(shop, components=("web",))
    assert not told(shop, components=("mail",))
    assert told(shop, labels={"team": "shop-*"})
    assert not told(shop, labels={"team": "pay-*"})
    assert not told([])
    assert told([], incidents="all")
    assert not told(shop, form="pagerduty-change", secret="s")  # no change is believed


def test_a_message_reads_back_as_it_was_written() -> None:
    import msgspec

    message = Message(action="tell", summary=SUMMARY, page="p", group="g")
    assert msgspec.json.decode(msgspec.json.encode(message), type=Message) == message
