from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
import pytest

from rca.cases.labelled import LabelledCase
from rca.errors import ModelError
from rca.learning.observing import observe
from rca.pipeline import trace_causes
from rca.settings import Settings
from rca.similar import Precedent, learn_kinds
from rca.similar.kind_storage import pack_kinds, unpack_kinds
from rca.similar.observation import Observation, look, pack, unpack
from rca.stages import Stages


def seen(case: LabelledCase) -> Observation:
    context, graph, ranking = trace_causes(case.case, Settings(), Stages())
    return look(context, graph, ranking, named="cart-0", culprit="none")


def test_what_was_seen_comes_back_as_it_was_but_for_the_ids_of_events(cases: list[LabelledCase]) -> None:
    before = seen(cases[0])
    after = unpack(pack(before))
    assert (after.named, after.culprit) == ("cart-0", "none")
    assert after.portrait.shape == before.portrait.shape
    for one, other in (
        (before.description, after.description),
        (before.portrait.description, after.portrait.description),
    ):
        for field in ("incident", "candidates", "services", "features", "context", "tokens"):
            assert getattr(one, field) == getattr(other, field)
        assert np.array_equal(one.untrained, other.untrained)
        assert not any(other.events)
    assert pack(after) == pack(before)


def test_it_is_what_rca_learn_sees_of_the_case(cases: list[LabelledCase]) -> None:
    assert seen(cases[1]).description.features == observe(cases[1].case).features


def damaged(content: bytes) -> dict[str, bytes]:
    return {
        "cut off": content[:-10],
        "a bit": content[:90] + bytes([content[90] ^ 4]) + content[91:],
        "empty": b"",
        "something else": zlib.compress(b"\x93\x01\x02\x03"),
        "too large": zlib.compress(bytes(70 << 20)),
    }


@pytest.mark.parametrize("how", ["cut off", "a bit", "empty", "something else", "too large"])
def test_damage_is_refused(cases: list[LabelledCase], past: list[Precedent], how: str) -> None:
    with pytest.raises(ModelError, match="damaged"):
        unpack(damaged(pack(seen(cases[0])))[how])
    kinds = learn_kinds([one.confirmed for one in past if one.confirmed is not None])
    assert kinds is not None
    with pytest.raises(ModelError, match="damaged"):
        unpack_kinds(damaged(pack_kinds(kinds))[how])


def test_weights_of_kinds_come_back_and_believe_the_same(
    past: list[Precedent], make: Callable[..., LabelledCase], look: Callable[..., Precedent]
) -> None:
    kinds = learn_kinds([one.confirmed for one in past if one.confirmed is not None])
    assert kinds is not None
    content = pack_kinds(kinds)
    again = unpack_kinds(content)
    asked = look(make(99, "bank-0", "cart-1", "leak")).portrait.description
    assert again.of(asked) == kinds.of(asked)
    assert max(again.of(asked).values()) > 0.6
    assert pack_kinds(again) == content
