from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rca.simulator import Scenario
from rca.simulator.dynamics import Effects, State, Weather, run
from rca.simulator.world import World, build_world
from rca.topology import Topology

COLUMNS = 4


def tiny_world() -> World:
    """a calls b twice and c half the time, b calls c once; idle processors, so that nothing waits."""
    ones, zeros = np.ones(3), np.zeros(3)
    names = ("a", "b", "c")
    return World(
        names=names,
        kinds=("gateway", "service", "database"),
        services=names,
        operations=(("x",), ("y",), ("z",)),
        layer=np.array([0, 1, 2], np.int32),
        host=np.full(3, -1, np.int32),
        own=np.array([0.010, 0.020, 0.005]),
        spread=zeros,
        jitter=zeros,
        failing=zeros,
        busy=zeros,
        idle=zeros,
        memory=ones,
        rate=np.array([10.0, 20.0, 25.0]),
        entry=np.array([10.0, 0.0, 0.0]),
        share=np.eye(3),
        weight=np.ones((3, 3)),
        caller=np.array([0, 0, 1], np.int32),
        callee=np.array([1, 2, 2], np.int32),
        when=np.full(3, -1, np.int32),
        target=np.zeros(3, np.int32),
        given=np.array([2.0, 0.5, 1.0]),
        calls=np.array([2.0, 0.5, 1.0]),
        net=np.full(3, 0.001),
        passes=ones,
        retries=np.zeros(3, np.bool_),
        asynchronous=np.zeros(3, np.bool_),
        topology=Topology.from_edges([("a", "b"), ("a", "c"), ("b", "c")]),
    )


def state_of(world: World, effects: Effects | None = None) -> State:
    calm = Weather(own=np.ones((3, COLUMNS)), load=np.ones(COLUMNS), failing=np.ones((3, COLUMNS)))
    return run(world, calm, Effects.none(world, COLUMNS) if effects is None else effects)


def test_traffic_is_handed_down_by_calls_per_request() -> None:
    np.testing.assert_allclose(state_of(tiny_world()).rate[:, 0], [10.0, 20.0, 25.0])


def test_time_is_conserved_up_the_calls() -> None:
    # b: 20 + (1 + 5) = 26 ms; a: 10 + 2 · (1 + 26) + 0.5 · (1 + 5) = 67 ms
    np.testing.assert_allclose(state_of(tiny_world()).latency[:, 0], [0.067, 0.026, 0.005])


@pytest.mark.parametrize(("component", "at_the_top"), [(0, 1.0), (1, 2.0), (2, 2.5)])
def test_excess_time_arrives_at_the_top_in_proportion_to_calls(component: int, at_the_top: float) -> None:
    world = tiny_world()
    effects = Effects.none(world, COLUMNS)
    effects.own[component, 2:] += 0.1
    excess = state_of(world, effects).latency[0] - state_of(world).latency[0]
    np.testing.assert_allclose(excess, [0.0, 0.0, 0.1 * at_the_top, 0.1 * at_the_top], atol=1e-12)


def test_a_delayed_wire_is_felt_by_the_caller_and_not_by_the_callee() -> None:
    world = tiny_world()
    effects = Effects.none(world, COLUMNS)
    effects.delay[0] += 0.2
    before, after = state_of(world), state_of(world, effects)
    np.testing.assert_allclose(after.latency[1:], before.latency[1:])
    np.testing.assert_allclose(after.latency[0] - before.latency[0], 0.4)


def test_failures_arrive_at_callers_unless_they_do_without() -> None:
    world = tiny_world()
    effects = Effects.none(world, COLUMNS)
    effects.failing[2] = 0.1
    failures = state_of(world, effects).failures[:, 0]
    # b fails with c; a unless both of b's calls (each 0.1, clipped sum 0.2) and half a call of c go well.
    np.testing.assert_allclose(failures, [1 - 0.8 * 0.95, 0.1, 0.1])
    robust = replace(world, passes=np.array([0.0, 0.0, 1.0]))
    np.testing.assert_allclose(state_of(robust, effects).failures[:, 0], [0.0, 0.1, 0.1], atol=1e-12)


def test_refused_calls_do_not_arrive() -> None:
    world = tiny_world()
    effects = Effects.none(world, COLUMNS)
    effects.refused[1] = 1.0
    state = state_of(world, effects)
    np.testing.assert_allclose(state.rate[:, 0], [10.0, 0.0, 5.0])
    assert state.failures[0, 0] > 0.99
    assert state.failures[1, 0] == 0.0


def test_nobody_waits_for_a_message() -> None:
    world = replace(tiny_world(), asynchronous=np.array([True, False, False]))
    effects = Effects.none(world, COLUMNS)
    effects.own[1] += 1.0
    np.testing.assert_allclose(state_of(world, effects).latency[0], state_of(world).latency[0])
    assert state_of(world, effects).rate[1, 0] == 20.0


@pytest.mark.parametrize("components", [10, 30, 400])
def test_worlds_are_layered_and_every_component_that_serves_is_called(components: int) -> None:
    for seed in range(3):
        world = build_world(Scenario(seed=seed, components=components))
        assert (world.layer[world.caller] < world.layer[world.callee]).all()
        serving = np.array([kind != "host" for kind in world.kinds])
        assert (world.rate[serving] > 0).all()
        arriving = world.entry + np.bincount(
            world.callee, weights=world.rate[world.caller] * world.calls, minlength=components
        )
        np.testing.assert_allclose(arriving, world.rate, rtol=1e-9)
