"""Grouping of lines: drain3's own groups, in bounded memory, with codes and a state that last."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from drain3 import TemplateMiner as PlainMiner
from drain3.masking import MaskingInstruction
from drain3.template_miner_config import TemplateMinerConfig
from hypothesis import given, settings
from hypothesis import strategies as st

from rca.errors import ProfileError
from rca.logs import Masks, TemplateMiner, load_masks, template_keys
from rca.logs.masks import parse_masks
from rca.logs.memo import Memo
from rca.telemetry import ERROR, INFO, LogBatch, texts

EXAMPLES = settings(max_examples=60, deadline=None)
SYSTEMS = ("Android", "BGL", "HPC", "HealthApp", "Mac", "OpenStack", "Spark", "Windows")
USUAL = ["a", "b", "get", "put", "x1", "10.0.0.1", "12", "3a4b5c6d", "#7", "v=3"]
# drain3 gives a line that holds its own wildcard a new group each time it comes.
WORDS = st.sampled_from([*USUAL, "<*>"])
LINES = st.lists(st.lists(WORDS, max_size=6).map(" ".join), max_size=60)


def plain_groups(lines: list[str], masks: Masks) -> list[int]:
    config = TemplateMinerConfig()
    config.masking_instructions = [MaskingInstruction(m.pattern, m.replacement[1:-1]) for m in masks.masks]
    miner = PlainMiner(config=config)
    return [miner.add_log_message(line)["cluster_id"] for line in lines]


def partition(codes: object) -> list[int]:
    first: dict[int, int] = {}
    return [first.setdefault(int(code), len(first)) for code in np.asarray(codes)]


def batch(rows: list[tuple[int, str, str]], level: int = 0) -> LogBatch:
    names = tuple(sorted({component for _, component, _ in rows}))
    return LogBatch(
        components=names,
        times=np.array([time for time, _, _ in rows], np.int64),
        component=np.array([names.index(component) for _, component, _ in rows], np.int32),
        level=np.full(len(rows), level, np.int8),
        message=texts([message for _, _, message in rows]),
        trace=texts([""] * len(rows)),
        span=texts([""] * len(rows)),
    )


@settings(EXAMPLES)
@given(LINES)
def test_lines_are_grouped_as_drain3_groups_them(lines: list[str]) -> None:
    masks = load_masks()
    assert partition(TemplateMiner().assign(texts(lines))) == partition(plain_groups(lines, masks))


@settings(EXAMPLES)
@given(LINES)
def test_the_groups_are_drain3s_with_masks_that_ask_for_digits_or_look_at_neighbours_too(lines: list[str]) -> None:
    masks = parse_masks(
        {
            "levels": {},
            "masks": [
                {"name": "a", "pattern": "1[0-2]", "replacement": "<A>"},
                {"name": "b", "pattern": "get [a-z]", "replacement": "<B>"},
            ],
        },
        where="test",
    )
    assert not masks.digit_blind
    assert not masks.word_local
    assert partition(TemplateMiner(masks).assign(texts(lines))) == partition(plain_groups(lines, masks))


@settings(EXAMPLES, max_examples=300)
@given(st.lists(st.lists(st.sampled_from("1tab") | st.just("<*>"), min_size=3, max_size=4).map(" ".join), max_size=25))
def test_few_words_that_clash_are_grouped_as_drain3_groups_them_line_by_line(lines: list[str]) -> None:
    masks = parse_masks({"levels": {}}, where="test")
    lines = [line for line in lines for _ in range(2)]
    assert partition(TemplateMiner(masks).assign(texts(lines))) == partition(plain_groups(lines, masks))


def test_a_remembered_line_follows_when_the_tree_grows_a_nearer_branch() -> None:
    masks = parse_masks({"levels": {}}, where="test")
    lines = ["1 a b c", "t a b c", "t a b c", "t x y z", "t a b c"]
    groups = partition(TemplateMiner(masks).assign(texts(lines)))
    assert groups == partition(plain_groups(lines, masks)) == [0, 0, 0, 1, 2]


def test_a_remembered_line_follows_when_its_template_becomes_more_general() -> None:
    masks = parse_masks({"levels": {}}, where="test")
    lines = ["t a b c d", "t x y z w", "t a b z w", "t a b z w", "t a q r s", "t a b z w"]
    groups = partition(TemplateMiner(masks).assign(texts(lines)))
    assert groups == partition(plain_groups(lines, masks)) == [0, 1, 0, 0, 0, 1]


@pytest.mark.parametrize("memo", [2, 8])
def test_a_memo_that_forgets_changes_no_group(memo: int) -> None:
    lines = [f"{verb} item {n} of {'abc'[n % 3]}" for n in range(200) for verb in ("get", "put", "drop")]
    small, large = TemplateMiner(memo=memo), TemplateMiner()
    assert small.assign(texts(lines)).tolist() == large.assign(texts(lines)).tolist()
    assert all(len(part) <= memo for part in (small._lines, small._shapes, small._words, small._masked_words))


@settings(EXAMPLES)
@given(st.lists(st.integers(0, 30), max_size=200), st.integers(2, 10))
def test_a_memo_never_holds_more_than_its_capacity_and_never_lies(keys: list[int], capacity: int) -> None:
    memo: Memo[int, int] = Memo(capacity)
    for key in keys:
        assert memo.get(key) in (None, key * 2)
        memo.put(key, key * 2)
        assert memo.get(key) == key * 2
        assert len(memo) <= capacity


def test_a_flood_of_new_lines_ends_in_one_template() -> None:
    miner = TemplateMiner(capacity=5, memo=16)
    words = [f"{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(300)]
    codes = miner.assign(texts([" ".join([word] * (1 + i % 7)) for i, word in enumerate(words)]))
    assert len(miner) == 6
    assert miner.templates[-1] == "<other>"
    assert codes.max() == 5
    assert TemplateMiner.from_json(miner.to_json()).templates == miner.templates


@settings(EXAMPLES)
@given(LINES, LINES)
def test_a_state_that_is_saved_and_read_goes_on_as_the_original(first: list[str], second: list[str]) -> None:
    miner = TemplateMiner()
    miner.assign(texts(first))
    again = TemplateMiner.from_json(miner.to_json())
    assert again.templates == miner.templates
    assert again.to_json() == miner.to_json()
    assert again.assign(texts(second)).tolist() == miner.assign(texts(second)).tolist()
    assert again.to_json() == miner.to_json()


@pytest.mark.parametrize(
    "change",
    [
        {"version": 9},
        {"templates": "x"},
        {"tree": {"2": {"a": [1, 1]}}},
        {"tree": {}},
        {"tree": {"3": {"a": [1]}}},
        {"surprise": 1},
        {"masks": {"levels": {}, "masks": [{"name": "n"}]}},
    ],
)
def test_a_state_that_contradicts_itself_is_refused(change: dict[str, object]) -> None:
    miner = TemplateMiner()
    miner.assign(texts(["a b"]))
    state = json.loads(miner.to_json())
    TemplateMiner.from_json(json.dumps(state))
    with pytest.raises(ProfileError):
        TemplateMiner.from_json(json.dumps({**state, **change}))


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b"{}", b'{"py/object": "os.system"}', b"[" * 100_000])
def test_what_is_no_state_is_refused(data: bytes) -> None:
    with pytest.raises(ProfileError):
        TemplateMiner.from_json(data)


@settings(EXAMPLES)
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("ab"), st.sampled_from(USUAL)), max_size=30), st.randoms())
def test_the_same_lines_in_any_order_get_the_same_codes(rows: list[tuple[int, str, str]], random: object) -> None:
    rows = [(time, component, f"{message} {message} done") for time, component, message in rows]
    order = list(range(len(rows)))
    random.shuffle(order)  # type: ignore[attr-defined]
    straight, names = template_keys(batch(rows), TemplateMiner())
    shuffled, again = template_keys(batch([rows[i] for i in order]), TemplateMiner())
    assert names == again
    assert shuffled.tolist() == straight[order].tolist()


@settings(EXAMPLES)
@given(st.lists(st.text(st.characters(), max_size=40), max_size=20))
def test_no_text_whatever_breaks_the_mining(lines: list[str]) -> None:
    miner = TemplateMiner()
    codes = miner.assign(texts([*lines, "\udc80 lone", "\x00", "a\x1cb", ""]))
    assert codes.min(initial=0) >= 0
    assert TemplateMiner.from_json(miner.to_json()).templates == miner.templates


def test_a_line_that_says_its_place_is_grouped_by_place_level_and_exception() -> None:
    miner = TemplateMiner()
    lines = [
        "16:42:22.382 INFO  t.s.Travel#532 TraceID: 1 [route is a]",
        "16:42:23.000 INFO  t.s.Travel#532 something else altogether",
        "16:42:23.000 INFO  t.s.Travel#533 something else altogether",
        "16:42:23.000 ERROR t.s.Travel#532 java.io.IOException: gone",
        "issue #12 is no place",
    ]
    codes = miner.assign(texts(lines))
    assert partition(codes) == [0, 0, 1, 2, 3]
    assert miner.templates[0] == "INFO t.s.Travel#532"
    assert miner.templates[2] == "ERROR t.s.Travel#532 IOException"
    given_level = miner.assign(texts(["t.s.Travel#532 x"]), np.array([INFO], np.int8))
    assert given_level.tolist() == codes[:1].tolist()


def test_codes_of_a_copy_hold_and_what_is_new_gets_new_ones() -> None:
    original = TemplateMiner()
    original.assign(texts(["user 1 logged in", "cache of shop cleared"]))
    copy = original.copy()
    codes = copy.assign(texts(["cache of shop cleared", "disk is full again now", "user 7 logged in"]))
    assert codes.tolist() == [1, 2, 0]
    assert len(original) == 2


def test_matching_says_what_learning_would_without_learning() -> None:
    miner = TemplateMiner()
    miner.assign(texts(["user 1 logged in", "INFO a.B#1 x"]))
    before = miner.to_json()
    assert miner.match(texts(["user 9 logged in", "INFO a.B#1 y", "INFO a.B#2 y", "what is this"])).tolist() == [
        0,
        1,
        -1,
        -1,
    ]
    assert miner.to_json() == before


def test_a_stack_trace_below_a_line_does_not_change_its_group_but_names_its_exception() -> None:
    miner = TemplateMiner()
    lines = [f"call of shop failed\n  at a.b({n})" + "\n  at c" * n for n in range(4)]
    assert set(miner.assign(texts(lines)).tolist()) == {0}
    placed = miner.assign(texts(["x.Y#3 failed\nCaused by: BadThingException"]), np.array([ERROR], np.int8))
    assert miner.templates[placed[0]] == "ERROR x.Y#3 BadThingException"


def test_payloads_and_identifiers_of_requests_do_not_split_or_join_groups() -> None:
    rows = [
        (0, "a", "TraceID: 04c87ec9 SpanID: e400 Getting currency data"),
        (1, "a", "TraceID: ffc87ec9 SpanID: e401 Query product successfully"),
        (2, "a", 'Quote for [product_id:"A B" quantity:1 product_id:"C" quantity:2] done'),
        (3, "a", 'Quote for [product_id:"A"] done'),
    ]
    codes, names = template_keys(batch(rows), TemplateMiner())
    assert partition(codes) == [0, 1, 2, 2]
    assert names[codes[0]] == "Getting currency data"


def test_templates_of_another_miner_are_adopted_by_what_they_say() -> None:
    own, other = TemplateMiner(), TemplateMiner()
    own.assign(texts(["INFO a.B#1 x", "user 1 logged in"]))
    other.assign(texts(["disk is full again", "user 2 logged in", "INFO a.B#1 y"]))
    assert own.adopt(other).tolist() == [2, 1, 0]


def data_root() -> Path:
    named = os.environ.get("RCA_DATA")
    return Path(named) if named else Path(__file__).resolve().parents[2] / ".data"


@pytest.mark.data
@pytest.mark.parametrize("system", SYSTEMS)
def test_real_systems_are_grouped_as_drain3_groups_them(system: str) -> None:
    path = data_root() / "loghub_2k" / system / f"{system}_2k.log_structured.csv"
    if not path.exists():
        pytest.skip(f"loghub_2k is not in {data_root()}: set RCA_DATA")
    with path.open(encoding="utf-8", newline="") as file:
        lines = [row["Content"] for row in csv.DictReader(file)]
    miner = TemplateMiner()
    codes = miner.assign(texts(lines))
    assert partition(codes) == partition(plain_groups(lines, load_masks()))
    assert len(miner) == len(set(codes.tolist()))
