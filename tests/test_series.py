"""Series found by their names in another frame."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rca.series import SeriesNames
from rca.telemetry import MetricFrame

NAMES = st.sampled_from(["a", "b", "c", "d"])
SERIES = st.lists(st.tuples(NAMES, st.sampled_from(["cpu", "load"]), st.sampled_from(["", "a", "b"])), max_size=8)

Key = tuple[str, str, str]


def frame(keys: list[Key], spare: str = "") -> MetricFrame:
    """One sample each; ``spare`` names a component without series, which moves the codes of the others."""
    components = (*sorted({name for key in keys for name in (key[0], key[2])} - {""}), spare)[:: -1 if spare else 1]
    metrics = tuple(sorted({key[1] for key in keys}))
    return MetricFrame(
        components=components,
        metrics=metrics,
        component=np.array([components.index(key[0]) for key in keys], np.int32),
        metric=np.array([metrics.index(key[1]) for key in keys], np.int32),
        peer=np.array([components.index(key[2]) if key[2] else -1 for key in keys], np.int32),
        times=np.zeros(1, np.int64),
        values=np.zeros((len(keys), 1), np.float32),
    )


@settings(deadline=None)
@given(SERIES, SERIES)
def test_a_series_is_found_where_a_dictionary_of_names_finds_it(known: list[Key], wanted: list[Key]) -> None:
    place = {key: i for i, key in enumerate(known)}
    names = SeriesNames.of(frame(known))
    assert names.keys == tuple(known)
    assert names.find(frame(wanted, spare="z")).tolist() == [place.get(key, -1) for key in wanted]


@given(SERIES)
def test_every_series_of_distinct_names_finds_itself(keys: list[Key]) -> None:
    own = frame(sorted(set(keys)))
    assert SeriesNames.of(own).find(own).tolist() == list(range(len(own.component)))
