"""Masks as data: strict reading, and what is read off the patterns."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rca.errors import RuleError
from rca.logs.masks import load_masks, parse_masks
from rca.logs.patterns import is_digit_blind, is_word_local
from rca.telemetry import ERROR, FATAL, INFO, UNKNOWN, WARN

EXAMPLES = settings(max_examples=60, deadline=None)
MASK = {"name": "n", "pattern": "[0-9]+", "replacement": "<NUM>"}
ALPHABET = "abcf019-.:x_/ \t[]{}=<>'\"T,Z"


def test_a_shipped_mask_is_never_kept_from_a_line_that_it_matches() -> None:
    masks = load_masks()
    plain = [(re.compile(m.pattern), m.replacement) for m in masks.masks]

    @settings(EXAMPLES)
    @given(st.text(ALPHABET, max_size=60))
    def check(text: str) -> None:
        expected = text
        for pattern, replacement in plain:
            expected = pattern.sub(replacement, expected)
        assert masks.mask(text) == expected

    check()


def test_lines_that_differ_in_digits_alone_are_masked_alike_and_word_by_word() -> None:
    masks = load_masks()
    assert masks.digit_blind
    assert masks.word_local

    @settings(EXAMPLES)
    @given(st.text(ALPHABET, max_size=60))
    def check(text: str) -> None:
        masked = masks.mask(text)
        assert masks.mask(re.sub("[0-9]", "7", text)) == re.sub("[0-9]", "7", masked)
        assert masked.split() == [masks.mask(word) for word in text.split()]

    check()


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("took 15.2 ms", "took <NUM> ms"),
        ("from 10.0.0.12:8080 port=22", "from <IP> port=<NUM>"),
        ("id 9f8e7d6c-1234-4abc-8def-0123456789ab", "id <ID>"),
        ("at 0x7fff3a", "at <HEX>"),
        ("2016-09-28 04:30:30.123 started", "<DATE> <TIME> started"),
        ("commit 3f2a9bc failed", "commit <HEX> failed"),
        ("deadbeef facade", "deadbeef facade"),
    ],
)
def test_what_varies_is_masked_and_words_stay(text: str, masked: str) -> None:
    assert load_masks().mask(text) == masked


@pytest.mark.parametrize("pattern", ["[0-9]+", r"\d{1,3}x", "[0-9a-f]{2,}", r"[]0-9]\.\d"])
def test_patterns_for_any_digit_are_digit_blind(pattern: str) -> None:
    assert is_digit_blind(pattern)


@pytest.mark.parametrize("pattern", ["[1-5]", "port 22", r"(a)\1", r"(?P<x>\d)(?P=x)", r"\x31", "[{5}]", "a0-9"])
def test_patterns_that_ask_for_a_digit_are_not_digit_blind(pattern: str) -> None:
    assert not is_digit_blind(pattern)


@pytest.mark.parametrize(
    "pattern", ["a b", r"a\sb", "a.b", "[^x]+", "^a", "a$", r"\W", "[ -~]", "[!-~]", r"[\s]", r"\n"]
)
def test_patterns_that_may_reach_beyond_white_space_are_not_word_local(pattern: str) -> None:
    assert not is_word_local(pattern)


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("12:00:01 ERROR x.Y failed", ERROR),
        ("level=warning msg=slow", WARN),
        ("[fatal] gone", FATAL),
        ("error: no space left", ERROR),
        ("no error was found", UNKNOWN),
        ("INFORMATION only", INFO),
        ("x" * 90 + " ERROR", UNKNOWN),
    ],
)
def test_a_level_is_believed_where_a_line_states_it(text: str, level: int) -> None:
    assert load_masks().find_level(text) == level


def test_exception_classes_are_found_once_each() -> None:
    text = "java.lang.IllegalStateException: x caused by IllegalStateException and ValueError; panic: nil"
    assert load_masks().find_exceptions(text) == ("IllegalStateException", "ValueError", "panic")
    assert load_masks().find_exceptions("Error and Exceptions") == ()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"colour": []}, "colour"),
        ({"masks": {}}, "no list"),
        ({"masks": ["x"]}, "mapping"),
        ({"masks": [{**MASK, "extra": 1}]}, "extra"),
        ({"masks": [{"name": "n", "pattern": "a"}]}, "replacement"),
        ({"masks": [{**MASK, "pattern": "("}]}, "pattern"),
        ({"masks": [{**MASK, "pattern": "a*"}]}, "empty text"),
        ({"masks": [{**MASK, "replacement": "NUM"}]}, "<NAME>"),
        ({"masks": [MASK, MASK]}, "twice"),
        ({"masks": [{**MASK, "needs": "digit"}]}, "list"),
        ({"levels": {"loud": ["X"]}}, "loud"),
        ({"levels": {"warn": ["W"], "error": ["w"]}}, "twice"),
        ({"exceptions": [{"name": "n", "pattern": "a"}]}, "group"),
        ({"locations": [{"name": "n", "pattern": "a", "anchor": ""}]}, "text"),
    ],
)
def test_every_mistake_in_a_mask_file_is_an_error_that_names_it(change: dict[str, object], problem: str) -> None:
    with pytest.raises(RuleError, match=problem) as raised:
        parse_masks({"levels": {}, **change}, where="masks.yaml")
    assert raised.value.where is not None
    assert raised.value.where.startswith("masks.yaml")
    assert raised.value.remedy


def test_masks_of_a_file_come_back_from_their_own_data(tmp_path: object) -> None:
    masks = load_masks()
    assert parse_masks(masks.to_data(), where="data") == masks
