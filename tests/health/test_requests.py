"""Healthy requests as sums over blocks, on the shop of the root ``conftest.py``."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from rca.errors import ProfileError
from rca.health.requests import RequestHealth, count_blocks, find_background, split_item, touched_by
from rca.spans import link_spans, readable
from rca.telemetry import texts
from rca.tracing import CALL, ENTRY, RequestTable, cut_requests
from rca.types import MINUTE


def requests(shop, rare: str = "") -> RequestTable:
    """Healthy requests; ``rare`` is a line that every component writes in each fifth request."""
    telemetry = shop.telemetry().slice(shop.health)
    lines = telemetry.logs
    if rare:
        fifth = np.array([int(trace[1:]) % 5 == 0 for trace in lines.trace])
        more = lines.take(fifth)
        lines = replace(
            lines,
            times=np.concatenate([lines.times, more.times]),
            component=np.concatenate([lines.component, more.component]),
            level=np.concatenate([lines.level, more.level]),
            message=np.concatenate([lines.message, texts([rare] * len(more))]),
            trace=np.concatenate([lines.trace, more.trace]),
            span=np.concatenate([lines.span, more.span]),
        )
    return cut_requests(link_spans(telemetry.spans, lines), lines.message)


def build(table: RequestTable, clean: np.ndarray | None = None) -> RequestHealth:
    blocks = count_blocks(table, np.ones(len(table), bool) if clean is None else clean)
    return blocks.profile(np.ones(len(blocks.starts), bool))


def code(health: RequestHealth, kind: str, what: str, name: str) -> int:
    keys = [split_item(item) for item in health.items]
    return next(i for i, k in enumerate(keys) if (readable(k[0]), k[1], readable(k[2])) == (kind, what, name))


def test_every_purchase_asks_cart_and_pay(shop) -> None:
    health = build(requests(shop))
    entry = code(health, "shop GET /buy", ENTRY, "")
    for callee in ("cart GET /cart", "pay POST /pay"):
        call = code(health, "shop GET /buy", CALL, callee)
        pair = np.flatnonzero((health.first == entry) & (health.second == call))
        assert health.both[pair].tolist() == [300]
        assert health.trials[pair].tolist() == [300]
    assert health.requests[entry] == health.covered[entry] == 300
    assert health.blocks[entry] == 30
    # Ten of ten in each minute: the sum of both² / requests is the number of requests.
    assert health.squares[pair].tolist() == [300]


def test_what_always_happens_is_not_over_dispersed(shop) -> None:
    assert (build(requests(shop)).dispersion == 1).all()


def test_a_step_that_comes_in_bursts_is_over_dispersed(shop) -> None:
    table = requests(shop)
    pay = next(i for i, item in enumerate(table.items) if "POST /pay" in item and split_item(item)[1] == CALL)
    matrix = table.occurs.tolil()
    # Every second block of ten minutes goes without.
    for row in np.flatnonzero(((table.start - shop.health.start) // (10 * MINUTE)) % 2 == 1):
        matrix[row, pay] = 0
    health = build(replace(table, occurs=matrix.tocsr()))
    entry = code(health, "shop GET /buy", ENTRY, "")
    call = code(health, "shop GET /buy", CALL, "pay POST /pay")
    pair = np.flatnonzero((health.first == entry) & (health.second == call))
    assert health.both[pair].tolist() == [200]
    # 30 minutes, 20 with 10 of 10 and 10 with none: chi² = (200 - 2 p 200 + p² 300) / p(1-p) / 29.
    share = 200.5 / 301
    expected = (200 - 2 * share * 200 + share**2 * 300) / (share * (1 - share)) / 29
    assert health.dispersion[pair][0] == pytest.approx(expected)


def test_halves_merge_into_the_whole(shop) -> None:
    table = requests(shop)
    early = table.start < shop.health.start + 15 * MINUTE
    whole, merged = build(table), build(table, early).merge(build(table, ~early))
    for field in fields(RequestHealth):
        np.testing.assert_array_equal(getattr(merged, field.name), getattr(whole, field.name), err_msg=field.name)


def test_a_template_that_is_rare_everywhere_and_all_the_time_is_background(shop) -> None:
    table = requests(shop, rare="registry hiccup")
    clean = np.ones(len(table), bool)
    assert find_background(table, clean, MINUTE) == ("registry hiccup",)
    touched = touched_by(table, ["registry hiccup"])
    assert int(touched.sum()) == 3 * 60
    assert not touched_by(table, []).any()
    assert build(table).requests.max() == 240


def test_what_each_request_writes_is_no_background(shop) -> None:
    table = requests(shop)
    assert find_background(table, np.ones(len(table), bool), MINUTE) == ()


def test_stored_columns_come_back_and_misfits_are_refused(shop) -> None:
    health = build(requests(shop))
    arrays = health.to_arrays()
    again = RequestHealth.from_arrays(arrays)
    for field in fields(RequestHealth):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(health, field.name))
    for name in ("requests", "covered", "blocks", "both", "squares", "second", "items"):
        with pytest.raises(ProfileError):
            RequestHealth.from_arrays(arrays | {name: arrays[name][:-1]})
    with pytest.raises(ProfileError):
        RequestHealth.from_arrays(arrays | {"first": arrays["first"] - 1})
