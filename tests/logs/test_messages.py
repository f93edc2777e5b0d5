"""Messages out of their envelopes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rca.logs.messages import unwrap, unwrap_batch
from rca.telemetry import DEBUG, ERROR, FATAL, INFO, UNKNOWN, WARN, LogBatch, texts

EXAMPLES = settings(max_examples=60, deadline=None)


def docker(text: str) -> str:
    return json.dumps({"log": text + "\n", "stream": "stdout", "time": "2026-01-01T00:00:00Z"})


@pytest.mark.parametrize(
    ("raw", "text", "level"),
    [
        ("plain line", "plain line", UNKNOWN),
        (docker("16:42 ERROR x.Y#3 failed"), "16:42 ERROR x.Y#3 failed", ERROR),
        (docker(json.dumps({"severity": "warning", "message": "slow"})), "slow", WARN),
        (json.dumps({"level": "error", "msg": "call failed", "error": "timeout"}), "call failed: timeout", ERROR),
        (json.dumps({"level": 50, "msg": "x"}), "x", ERROR),
        (json.dumps({"severityNumber": 21, "body": "x"}), "x", FATAL),
        (json.dumps({"msg": "x", "exception": {"type": "KeyError", "message": "'a'"}}), "x: KeyError: 'a'", UNKNOWN),
        ("E0102 12:33:44.123456    1234 server.go:12] gone", "server.go:12] gone", ERROR),
        ("2026-01-01T00:00:00.1Z stderr F level=debug msg=hi", "level=debug msg=hi", DEBUG),
        ("{not json", "{not json", UNKNOWN),
        (json.dumps({"a": 1}), '{"a": 1}', UNKNOWN),
        (json.dumps({"level": "info", "msg": ""}), '{"level": "info", "msg": ""}', INFO),
    ],
)
def test_an_envelope_gives_its_message_and_level(raw: str, text: str, level: int) -> None:
    assert unwrap(raw) == (text, level)


@settings(EXAMPLES)
@given(
    st.text()
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: st.dictionaries(
            st.sampled_from(["log", "msg", "message", "level", "severity", "error", "severityNumber", "z"]), x
        ),
    ).map(json.dumps)
)
def test_no_line_whatever_breaks_the_unwrapping(raw: str) -> None:
    text, level = unwrap(raw)
    assert isinstance(text, str)
    assert UNKNOWN <= level <= FATAL


def test_known_levels_of_a_batch_stay_and_clean_lines_are_left_alone() -> None:
    batch = LogBatch(
        components=("a",),
        times=np.arange(3),
        component=np.zeros(3, np.int32),
        level=np.array([INFO, 0, WARN], np.int8),
        message=texts(["ERROR but sent as info", "ERROR x", docker("y")]),
        trace=texts(["", "", ""]),
        span=texts(["", "", ""]),
    )
    clean = unwrap_batch(batch)
    assert clean.message.tolist() == ["ERROR but sent as info", "ERROR x", "y"]
    assert clean.level.tolist() == [INFO, ERROR, WARN]
    again = unwrap_batch(clean)
    assert again.message.tolist() == clean.message.tolist()
