"""One incident a cause: alerts of one failure find each other, alerts of two do not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rca.service.grouping import Nearness, neighbours, record_of, title_of
from rca.sources.received import AlertNotice
from rca.stores.members import Members
from rca.stores.records import AlertRecord
from rca.topology import Topology
from rca.types import MINUTE, SECOND, Alert

# web -> cart -> cart-db -> disk;  web -> search;  mail stands alone; cart-db-0 is a replica of cart-db, on node-1
TOPOLOGY = Topology.from_edges(
    [("web", "cart"), ("cart", "cart-db"), ("cart-db", "disk"), ("web", "search")],
    components=["mail", "cart-db-0"],
    replica_of={"cart-db-0": "cart-db"},
    hosts={"cart-db-0": "node-1"},
)
Member = tuple[AlertRecord, bool, str]
NAMES = [*TOPOLOGY.components, "node-1", "unknown"]
NEAR = Nearness(near=neighbours(TOPOLOGY, NAMES, 2), apart=15 * MINUTE)


def alert(component: str, key: str = "new", start: int = 0, **facts: object) -> AlertRecord:
    return AlertRecord(
        **{"key": key, "start": start, "component": component, "name": "Slow", "state": "firing"} | facts
    )


def member(component: str, incident: str = "one", *, is_open: bool = True, cause: str = "", **facts: object) -> Member:
    facts = {"key": f"old-{component}", **facts}
    return replace(alert(component, **facts), incident=incident), is_open, cause


def choose(told: AlertRecord, known: list[Member]) -> str:
    members = Members()
    for one, is_open, cause in known:
        members.add(one, is_open=is_open, cause=cause)
    return NEAR.choose(told, members)


@pytest.mark.parametrize("other", ["cart", "web", "cart-db", "disk", "search", "cart-db-0"])
def test_what_is_at_most_two_calls_away_is_one_incident(other: str) -> None:
    assert choose(alert("cart"), [member(other)]) == "one"


@pytest.mark.parametrize(
    ("one", "other"), [("web", "disk"), ("search", "cart-db"), ("mail", "cart"), ("node-1", "cart")]
)
def test_what_is_further_away_is_another(one: str, other: str) -> None:
    assert choose(alert(one), [member(other)]) == ""


def test_a_host_is_near_what_runs_on_it() -> None:
    assert choose(alert("node-1"), [member("cart-db-0")]) == "one"
    assert choose(alert("node-1"), [member("cart-db")]) == "one"


def test_the_cause_that_a_report_named_counts_as_a_place() -> None:
    assert choose(alert("disk"), [member("web")]) == ""
    assert choose(alert("disk"), [member("web", cause="cart-db")]) == "one"


@pytest.mark.parametrize(("apart", "joins"), [(14 * MINUTE, True), (16 * MINUTE, False)])
def test_alerts_far_apart_in_time_are_two_incidents(apart: int, joins: bool) -> None:
    assert bool(choose(alert("cart", start=apart), [member("cart")])) == joins
    assert bool(choose(alert("cart", start=apart, groups=("g",)), [member("mail", groups=("g",))])) == joins


def test_a_group_of_the_sender_or_a_fingerprint_joins_wherever_it_is() -> None:
    assert choose(alert("mail", groups=("g",)), [member("cart", groups=("g",))]) == "one"
    assert choose(alert("mail", key="old-cart"), [member("cart")]) == "one"


def test_a_page_finds_its_alerts_however_late_it_comes() -> None:
    page = alert("Shop", page="PD1", groups=("g",), start=90 * MINUTE)
    assert choose(page, [member("cart", groups=("g",))]) == "one"


def test_the_nearest_incident_is_joined_and_among_equals_the_oldest() -> None:
    members = [member("web", "far"), member("cart-db", "near"), member("cart-db", "later")]
    assert choose(alert("cart-db"), members) == "near"
    assert choose(alert("mail"), members) == ""


def test_a_closed_incident_is_opened_by_its_own_alerts_only() -> None:
    assert choose(alert("cart"), [member("cart", is_open=False)]) == ""
    assert choose(alert("mail", key="old-cart"), [member("cart", is_open=False)]) == "one"


def test_alerts_that_name_nobody_have_nothing_in_common() -> None:
    assert choose(alert("unknown"), [member("unknown")]) == ""


@given(st.sampled_from(NAMES), st.sampled_from(NAMES))
def test_nearness_has_no_direction(one: str, other: str) -> None:
    assert choose(alert(one), [member(other)]) == choose(alert(other), [member(one)])


def test_a_notice_becomes_a_record_that_holds_what_joins() -> None:
    told = Alert(component="cart", name="Slow", time=7, labels={"pagerduty_incident": "PD1", "team": "shop"})
    notice = AlertNotice(id="i", key="k", alert=told, status="resolved", group="g")
    record = record_of(notice, 99, keys=("h", "g"))
    assert (record.start, record.state, record.groups, record.page) == (7, "resolved", ("g", "h"), "PD1")
    untimed = record_of(replace(notice, alert=replace(told, time=None)), 99)
    assert untimed.start == 99


def test_an_incident_is_called_after_its_first_alert() -> None:
    assert title_of([]) == ""
    assert title_of([alert("cart")]) == "Slow on cart"
    assert title_of([alert("Shop", page="PD1"), alert("cart"), alert("web")]) == "Slow on cart and 1 more"
    assert title_of([alert("unknown", start=SECOND)]) == "Slow"


def test_an_alert_between_two_incidents_belongs_to_both() -> None:
    """In another order of the same alerts they would be one."""
    members = Members()
    for name, start in (("web", 0), ("disk", MINUTE), ("mail", 0), ("cart-db", 40 * MINUTE)):
        members.add(replace(alert(name, f"a-{name}", start), incident=name), is_open=True)
    assert NEAR.choose(alert("cart", start=MINUTE), members) == "web"
    assert NEAR.others(alert("cart", start=MINUTE), "web", members) == ["disk"]
    assert NEAR.others(alert("search", start=MINUTE), "web", members) == []


@pytest.mark.parametrize(
    ("earlier", "later", "parted", "may"),
    [
        ("", "", False, True),
        ("disk", "", False, True),
        ("disk", "disk", False, True),
        ("", "disk", False, False),
        ("cart", "disk", False, False),
        ("", "", True, False),
    ],
)
def test_incidents_are_one_only_where_nothing_that_was_found_is_lost(
    earlier: str, later: str, *, parted: bool, may: bool
) -> None:
    members = Members()
    for name, cause in (("earlier", earlier), ("later", later)):
        one = replace(alert(name), incident=name)
        members.add(one, is_open=True, cause=cause, sure=True, parted=parted and name == "later")
    assert members.may_be_one("earlier", "later") == may
    members.merge("later", "earlier")
    assert {each.incident for each in members.at("later")} == {"earlier"}
