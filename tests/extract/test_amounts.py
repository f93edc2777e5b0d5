"""Amounts in a world small enough to check by hand: a shop calls a cart, the cart calls a store."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rca.extract.amount_series import merge_rows, read_series
from rca.extract.amounts import extract_amounts, split_step
from rca.extract.context import Context
from rca.extract.span_amounts import amount_inputs
from rca.health import HealthProfile
from rca.settings import Settings
from rca.telemetry import MetricFrame, SpanBatch, Telemetry
from rca.topology import Topology
from rca.types import MINUTE, SECOND, Case, Incident, Symptom, Window

ROWS, ONSET = 36, 30
SLOW = np.array([20.0, 60.0, 50.0, 70.0, 40.0, 55.0])  # seconds lost per row from the onset on
SHOP = Symptom(component="shop", metric="latency_seconds")


def lost_seconds() -> np.ndarray:
    return np.concatenate([np.zeros(ONSET), SLOW])


def base(rows: int = ROWS) -> dict[str, dict[str, np.ndarray]]:
    """100, 100 and 200 requests per row; latency wavers by a per cent in health."""
    waver = 1 + 0.01 * np.sin(np.arange(rows) * 2.4)
    return {
        "shop": {"requests": np.full(rows, 100.0), "latency_seconds": 0.3 * waver},
        "cart": {"requests": np.full(rows, 100.0), "latency_seconds": 0.2 * waver[::-1]},
        "store": {"requests": np.full(rows, 200.0), "latency_seconds": 0.05 * waver},
    }


def slow_store() -> dict[str, dict[str, np.ndarray]]:
    world = base()
    for name in world:
        world[name]["latency_seconds"] = world[name]["latency_seconds"] + lost_seconds() / world[name]["requests"]
    return world


def failing(name: str, metric: str, failed: np.ndarray, requests: np.ndarray) -> np.ndarray:
    share = failed / requests
    return {"errors_total": failed, "error_ratio": share, "availability": 100 * (1 - share), "success_rate": 1 - share}[
        metric
    ]


def frame(world: dict[str, dict[str, np.ndarray]], start: int = 0) -> MetricFrame:
    keys = [(component, metric) for component in world for metric in world[component]]
    rows = len(next(iter(world.values()))["requests"])
    return MetricFrame.from_rows(
        times=np.tile(start + MINUTE * np.arange(rows, dtype=np.int64), len(keys)),
        components=np.repeat([component for component, _ in keys], rows),
        metrics=np.repeat([metric for _, metric in keys], rows),
        values=np.concatenate([world[component][metric] for component, metric in keys]),
    )


CALLS = (("shop", "cart"), ("cart", "store"))


def context(world, *, calls=CALLS, symptoms=(SHOP,), start=0, kinds=None, metrics=None, spans=None, topology=None):
    end = start + ROWS * MINUTE
    incident = Incident(id="test", window=Window(start=start, end=end), symptoms=tuple(symptoms))
    telemetry = Telemetry(
        metrics=frame(world, start) if metrics is None else metrics, spans=SpanBatch.empty() if spans is None else spans
    )
    topology = topology or Topology.from_edges(calls, kinds=kinds)
    return Context(
        case=Case(incident=incident, telemetry=telemetry, topology=topology),
        topology=topology,
        health=HealthProfile(),
        onsets=np.array([start + 24 * MINUTE, start + 27 * MINUTE]),
        ends=np.array([end, end]),
        settings=Settings(),
    )


def blame(events) -> dict[str, float]:
    found: dict[str, float] = {}
    for event in events:
        if event.evidence.group == "amount":
            found[event.component] = max(found.get(event.component, 0.0), event.evidence.blame)
    return found


def event_of(events, component, kind="latency.up"):
    return next(event for event in events if event.component == component and event.kind == kind)


def test_the_slow_callee_owns_the_seconds_that_its_callers_lost():
    events = extract_amounts(context(slow_store()))
    store, shop = event_of(events, "store"), event_of(events, "shop")
    assert store.evidence.blame > 0.9
    assert store.evidence.amount == pytest.approx(SLOW.sum(), rel=0.05)
    assert abs(shop.evidence.amount) < 0.05 * SLOW.sum()
    assert blame(events).get("shop", 0.0) < 0.01 and blame(events).get("cart", 0.0) < 0.01


def test_the_onset_of_the_events_is_where_the_symptom_steps():
    assert event_of(extract_amounts(context(slow_store())), "store").start in (30 * MINUTE, 31 * MINUTE)


def test_the_sentence_says_how_much_of_the_symptom_passed_through_and_whose_it_is():
    events = extract_amounts(context(slow_store()))
    assert "that shop lost passed through store" in event_of(events, "store").evidence.sentence
    assert "came from its callee cart" in event_of(events, "shop").evidence.sentence


def test_a_component_that_is_slow_itself_keeps_its_seconds():
    world = base()
    for name in ("shop", "cart"):
        world[name]["latency_seconds"] = world[name]["latency_seconds"] + lost_seconds() / 100
    found = blame(extract_amounts(context(world)))
    assert found["cart"] > 0.9 and found.get("store", 0.0) < 0.01 and found.get("shop", 0.0) < 0.01


def test_a_component_with_a_handful_of_requests_cannot_win():
    world = slow_store()
    slowest = 0.1 + (lost_seconds() > 0) * 5.0  # fifty times as long as in health, in step with the symptom
    world["rare"] = {"requests": np.full(ROWS, 1.0), "latency_seconds": slowest}
    found = blame(extract_amounts(context(world, calls=(*CALLS, ("shop", "rare")))))
    assert max(found, key=found.get) == "store"
    assert found.get("rare", 0.0) < 0.2


def test_missing_samples_are_unknown_and_not_zero():
    world = slow_store()
    for metric in ("requests", "latency_seconds"):
        world["store"][metric] = world["store"][metric].copy()
        world["store"][metric][[25, 28, 31, 33]] = np.nan
    whole, gaps = (event_of(extract_amounts(context(w)), "store") for w in (slow_store(), world))
    assert float(gaps.attributes["share"]) == pytest.approx(float(whole.attributes["share"]), abs=0.05)
    assert gaps.evidence.blame > 0.8


def test_no_requests_are_an_amount_of_zero_and_not_unknown():
    world = base()
    world["store"]["requests"] = np.where(np.arange(ROWS) % 2, 200.0, 0.0)
    world["store"]["latency_seconds"] = np.where(np.arange(ROWS) % 2, 0.05, np.nan)
    series = read_series(context(world))
    store = series.components.index("store")
    assert (series.window.traffic[store] == 0).sum() == ROWS // 2
    assert np.isnan(series.window.latency[store]).sum() == ROWS // 2


def test_a_component_that_newly_appears_leaves_the_blame_with_its_caller():
    world = base()
    failed = np.concatenate([np.zeros(ONSET), [5, 30, 25, 35, 20, 28]])
    for name in ("shop", "cart"):
        world[name]["error_ratio"] = failed / 100
    seldom = np.concatenate([np.zeros(ONSET), np.full(6, 40.0)])
    world["new"] = {"requests": seldom, "error_ratio": failed / np.maximum(seldom, 1)}
    symptom = Symptom(component="shop", metric="error_ratio")
    events = extract_amounts(context(world, calls=(*CALLS, ("cart", "new")), symptoms=(symptom,)))
    found = blame(events)
    assert found["cart"] > 0.9 and found.get("new", 0.0) == 0.0
    appeared = next(event for event in events if event.kind == "component.appeared")
    assert appeared.component == "new" and appeared.evidence.blame == 0.0


@pytest.mark.parametrize("metric", ["errors_total", "error_ratio", "availability", "success_rate"])
def test_failures_are_the_same_whether_told_as_count_ratio_or_availability(metric):
    world = base()
    failed = np.concatenate([np.zeros(ONSET), [4, 20, 15, 25, 10, 18]]) + np.arange(ROWS) % 2
    for name in ("shop", "cart"):
        world[name][metric] = failing(name, metric, failed, world[name]["requests"])
    world["store"][metric] = failing("store", metric, np.arange(ROWS) % 2, world["store"]["requests"])
    events = extract_amounts(context(world, symptoms=(Symptom(component="shop", metric=metric),)))
    cart = event_of(events, "cart", "errors.up")
    assert cart.evidence.blame > 0.7 and cart.evidence.unit == "failures"
    assert cart.evidence.amount == pytest.approx(92, rel=0.1)
    assert blame(events).get("shop", 0.0) < 0.05


def test_requests_per_second_count_like_requests_per_row():
    world = slow_store()
    rates = {
        name: {"rps": parts["requests"] / 60, "latency_seconds": parts["latency_seconds"]}
        for name, parts in world.items()
    }
    keyed = {name: {"requests": np.zeros(ROWS)} for name in rates}  # only for the number of rows
    metrics = frame({name: {**keyed[name], **parts} for name, parts in rates.items()})
    metrics = metrics.select(metrics.metric != metrics.metrics.index("requests"))
    found = event_of(extract_amounts(context(world, metrics=metrics)), "store").evidence
    expected = event_of(extract_amounts(context(world)), "store").evidence
    assert found.amount == pytest.approx(expected.amount, rel=1e-3)


def test_milliseconds_count_like_seconds():
    world = slow_store()
    for name, parts in world.items():
        world[name] = {"requests": parts["requests"], "latency_ms": 1000 * parts["latency_seconds"]}
    found = event_of(extract_amounts(context(world)), "store").evidence
    assert found.amount == pytest.approx(SLOW.sum(), rel=0.05)


def test_a_symptom_without_a_metric_is_read_from_the_signal_that_deviates():
    assert event_of(extract_amounts(context(slow_store(), symptoms=(Symptom(component="shop"),))), "store")


def test_where_nobody_names_a_symptom_it_is_looked_for_where_nobody_calls():
    named, guessed = (extract_amounts(context(slow_store(), symptoms=s)) for s in ((Symptom(component="shop"),), ()))
    assert guessed and guessed == named


def test_without_a_symptom_and_without_calls_there_is_nothing_to_share_out():
    assert extract_amounts(context(slow_store(), symptoms=(), calls=())) == []


def test_where_no_calls_are_known_the_symptoms_component_is_not_blamed_for_its_own_amount():
    found = extract_amounts(context(slow_store(), calls=()))
    assert found and "shop" not in {event.component for event in found}


def faster():
    world = base()
    for name in world:
        gained = np.minimum(lost_seconds() / 10, 8) / world[name]["requests"]
        world[name]["latency_seconds"] = world[name]["latency_seconds"] - gained
    return world


def test_a_symptom_that_got_better_is_shared_out_where_that_is_the_symptom():
    events = extract_amounts(context(faster(), symptoms=(replace(SHOP, direction="down"),)))
    assert event_of(events, "store", "latency.down").evidence.blame > 0.5


def test_what_got_faster_is_not_said_to_have_lost_time():
    world = faster()
    for name in world:  # nothing wavers upwards after the onset
        world[name]["latency_seconds"][ONSET:] -= 0.02
    told = context(world)
    incident = replace(told.case.incident, onset=ONSET * MINUTE)
    assert extract_amounts(replace(told, case=replace(told.case, incident=incident))) == []


def test_a_stated_direction_excludes_the_other():
    world = slow_store()
    for name in world:  # a dip that is deeper than the rise is high
        dip = np.where(np.arange(ROWS) == 24, 4.9, 0.0)
        world[name]["latency_seconds"] = world[name]["latency_seconds"] - dip / world[name]["requests"]
    up = extract_amounts(context(world, symptoms=(replace(SHOP, direction="up"),)))
    down = extract_amounts(context(world, symptoms=(replace(SHOP, direction="down"),)))
    assert {event.direction for event in up} == {"up"}
    assert "up" not in {event.direction for event in down}


def test_of_several_symptoms_the_clearest_counts():
    cart = Symptom(component="cart", metric="latency_seconds")
    alone, both = (blame(extract_amounts(context(slow_store(), symptoms=s)))["store"] for s in ((SHOP,), (cart, SHOP)))
    assert both >= alone


@pytest.mark.parametrize(
    "symptom",
    [Symptom(component="nowhere"), Symptom(component="shop", metric="availability")],
    ids=["unknown", "other"],
)
def test_a_symptom_that_no_series_shows_gives_no_events(symptom):
    assert extract_amounts(context(slow_store(), symptoms=(symptom,))) == []


def test_components_without_metrics_are_passed_through():
    calls = (("shop", "gateway"), ("gateway", "cart"), ("cart", "store"))
    found = blame(extract_amounts(context(slow_store(), calls=calls)))
    assert found["store"] > 0.9 and found.get("shop", 0.0) < 0.01


def test_an_uninstrumented_leaf_is_its_callers_view_of_the_sibling():
    world = slow_store()
    world["store-view"] = {name: values.copy() for name, values in world["store"].items()}
    calls = (*CALLS, ("cart", "store-view"))
    found = blame(extract_amounts(context(world, calls=calls, kinds={"store-view": "external"})))
    assert found["store"] > 0.5 and found.get("store-view", 0.0) < 0.01


def test_a_replica_takes_the_calls_of_its_service():
    world = slow_store()
    world["store-0"] = world.pop("store")
    topology = Topology.from_edges(CALLS, components=("store-0",), replica_of={"store-0": "store"})
    found = blame(extract_amounts(context(world, topology=topology)))
    assert found["store-0"] > 0.9 and found.get("cart", 0.0) < 0.01


def test_the_order_of_the_series_does_not_matter():
    metrics = frame(slow_store())
    shuffled = metrics.select(np.random.default_rng(3).permutation(len(metrics.component)))
    events = extract_amounts(context(slow_store()))
    assert extract_amounts(context(slow_store(), metrics=shuffled)) == events


def test_the_names_of_the_components_do_not_matter():
    names = {"shop": "z-front", "cart": "m", "store": "a"}
    world = {names[name]: parts for name, parts in slow_store().items()}
    calls = tuple((names[a], names[b]) for a, b in CALLS)
    renamed = context(world, calls=calls, symptoms=(replace(SHOP, component="z-front"),))
    found, expected = blame(extract_amounts(renamed)), blame(extract_amounts(context(slow_store())))
    assert found == pytest.approx({names[name]: value for name, value in expected.items()})


def test_the_clock_does_not_matter():
    early, late = (extract_amounts(context(slow_store(), start=start)) for start in (0, 5_000 * MINUTE))
    assert blame(early) == blame(late)
    assert [event.start + 5_000 * MINUTE for event in early] == [event.start for event in late]


def test_an_unrelated_healthy_component_changes_nothing():
    world = slow_store()
    world["billing"] = {"requests": np.full(ROWS, 50.0), "latency_seconds": 0.1 + 0.001 * (np.arange(ROWS) % 3)}
    found = blame(extract_amounts(context(world)))
    found.pop("billing", None)
    assert found == pytest.approx(blame(extract_amounts(context(slow_store()))))


def test_a_split_is_found_in_both_directions():
    steps = np.concatenate([np.sin(np.arange(20.0)), 8 + np.sin(np.arange(6.0))])
    assert split_step(steps, 6, 26) == (20, 1.0)
    assert split_step(-steps, 6, 26) == (20, -1.0)


def test_nobody_notices_before_the_onset():
    steps = np.concatenate([np.zeros(20), np.full(6, 8.0)])
    assert split_step(steps, 6, 18)[0] < 18


def test_series_that_are_sampled_in_turns_are_merged_to_common_rows():
    world = slow_store()
    for place, name in enumerate(world):
        for metric in world[name]:
            turns = np.arange(ROWS) % 3 != place
            world[name][metric] = np.where(turns, np.nan, world[name][metric])
    series = read_series(context(world))
    assert series.merged == 3 and series.window.times.size == ROWS // 3
    assert not np.isnan(series.window.latency).any()


def test_merging_weighs_latencies_by_their_requests():
    world = base()
    series = read_series(context(world))
    block = replace(series.window, traffic=series.window.traffic.copy(), latency=series.window.latency.copy())
    gap = np.arange(ROWS) % 2 == 1
    block.traffic[:, gap] = np.nan
    block.traffic[:, 0], block.latency[:, 0] = 10.0, 1.0
    merged, factor = merge_rows(block)
    assert factor == 2 and merged.traffic[0, 0] == 10.0 and merged.latency[0, 0] == pytest.approx(1.0)


def make_spans(rows: int = ROWS) -> SpanBatch:
    """Ten requests a minute through shop, cart and store, whose calls into a silent database are slow at the end."""
    columns: dict[str, list] = {
        name: [] for name in ("start", "duration", "component", "trace", "span", "parent", "peer")
    }

    def add(start, seconds, component, trace, span, parent, peer=""):
        for name, value in zip(
            columns, (start, int(seconds * SECOND), component, trace, span, parent, peer), strict=True
        ):
            columns[name].append(value)

    for row in range(rows):
        for i in range(10):
            wait = (0.3 + 0.02 * i if row >= ONSET else 0.0) + 0.01 + 0.001 * ((row * 7 + i) % 5)
            start, trace = row * MINUTE + i * 5 * SECOND, f"t{row}-{i}"
            add(start, 0.10 + wait, "shop", trace, "a", "")
            add(start + 1, 0.05 + wait, "cart", trace, "b", "a")
            add(start + 2, wait, "cart", trace, "c", "b", "db")
    plain = {name: columns[name] for name in ("component", "trace", "span", "parent", "peer")}
    times = {name: np.array(columns[name], np.int64) for name in ("start", "duration")}
    return SpanBatch.build(**times, **plain, operation=["do"] * len(columns["span"]))


def test_spans_tell_amounts_where_there_are_no_metrics():
    spans = make_spans()
    calls = (("shop", "cart"), ("cart", "db"))
    symptom = Symptom(component="shop")
    events = extract_amounts(context({}, calls=calls, symptoms=(symptom,), metrics=MetricFrame.empty(), spans=spans))
    found = blame(events)
    assert max(found, key=found.get) == "db" and found["db"] > 0.8
    assert event_of(events, "db").evidence.amount == pytest.approx(60 * 0.39, rel=0.1)


def test_spans_add_only_components_that_have_no_metrics():
    world = {name: slow_store()[name] for name in ("shop", "cart")}
    series = amount_inputs(context(world, spans=make_spans()))
    assert series.components == ("cart", "db", "shop")
    assert series.latency_names == ("latency_seconds", "span duration", "latency_seconds")
    assert series.window.traffic.shape == (3, ROWS)
    assert series.health.traffic.shape[0] == 3


@settings(max_examples=40, deadline=None)
@given(
    values=arrays(
        np.float32,
        (6, ROWS),
        elements=st.one_of(
            st.floats(-1e6, 1e6, width=32),
            st.floats(allow_infinity=False, width=32),
            st.just(float("nan")),
            st.just(0.0),
        ),
    )
)
def test_any_values_give_finite_blame_between_zero_and_one(values):
    names = ("shop", "cart", "store")
    world = {name: {"requests": values[2 * i], "latency_seconds": values[2 * i + 1]} for i, name in enumerate(names)}
    for event in extract_amounts(context(world)):
        assert 0.0 <= event.evidence.blame <= 1.0 and 0.0 <= event.severity <= 1.0
