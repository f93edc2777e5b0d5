from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rca.errors import InputError, RuleError
from rca.yaml_files import MAX_BYTES, Mapped, load_yaml, read_yaml


def test_mappings_know_the_line_they_start_on_and_the_line_of_each_key() -> None:
    node = load_yaml("a: 1\nb:\n  - {x: 1, y: .5}\n  - c: text\n\n    d: 2\n", where="f.yaml")
    assert isinstance(node, Mapped)
    assert node == {"a": 1, "b": [{"x": 1, "y": 0.5}, {"c": "text", "d": 2}]}
    assert node.lines == {"a": 1, "b": 2}
    inner = node["b"][1]  # type: ignore[index]
    assert isinstance(inner, Mapped)
    assert (inner.line, inner.lines) == (4, {"c": 4, "d": 6})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("~", None),
        ("", None),
        ("true", True),
        ("yes", "yes"),
        ("on", "on"),
        ("no", "no"),
        ("007", 7),
        ("0x1f", 31),
        ("0o17", 15),
        ("-3", -3),
        ("1e3", 1000.0),
        ("1:30", "1:30"),
        ("5m", "5m"),
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
        ("'5'", "5"),
        ("!!str 5", "5"),
        ('"<<"', "<<"),
    ],
)
def test_scalars_follow_the_core_schema_and_times_stay_texts(text: str, value: object) -> None:
    assert load_yaml(f"a: {text}", where="f") == {"a": value}


def test_a_merge_key_fills_in_what_is_not_written_out() -> None:
    node = load_yaml("base: &b {p: 1, q: 2}\nuse:\n  <<: *b\n  q: 3\n", where="f")
    assert node == {"base": {"p": 1, "q": 2}, "use": {"p": 1, "q": 3}}


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a: 1\nb: 2\na: 3", 3, "'a' stands twice, first on line 1"),
        ("a:\n  - [1,\n", 3, "not YAML"),
        ("a: 1\nb: &x [*x]", 2, "no anchor before it"),
        ("a: *nowhere", 1, "no anchor before it"),
        ("\na: !!python/object/apply:os.system [ls]", 2, "tag"),
        ("a: !!timestamp 2026-01-01", 1, "tag"),
        ("? [a]\n: b", 1, "a key is a mapping or a list"),
        ("a:\n  404: x", 2, "the key 404 is not a text"),
        ("a: .inf", 1, "not finite"),
        ("a: 1e999", 1, "not finite"),
        ("a: " + "9" * 50, 1, "40 digits"),
        ("a: b\n---\nc: d", 2, "second document"),
        ("<<: 3", 1, "merges something that is no mapping"),
        ("[" * 21, 1, "20 levels"),
    ],
)
def test_what_is_refused_names_file_line_and_remedy(text: str, line: int, problem: str) -> None:
    with pytest.raises(RuleError) as caught:
        load_yaml(text, where="rules.yaml", error=RuleError)
    assert caught.value.where == f"rules.yaml, line {line}"
    assert problem in caught.value.problem
    assert caught.value.remedy


def test_twenty_levels_pass_and_twenty_one_do_not() -> None:
    load_yaml("[" * 20 + "]" * 20, where="f")
    with pytest.raises(InputError, match="levels of nesting"):
        load_yaml("[" * 21 + "]" * 21, where="f")


def test_aliases_are_counted_so_that_a_small_file_cannot_grow_without_end() -> None:
    ten = ", ".join(["*a"] * 10)
    load_yaml(f"a: &a 1\nb: [{ten}]\nc: [{ten}]", where="f")
    with pytest.raises(InputError, match="more than 20 aliases"):
        load_yaml(f"a: &a 1\nb: [{ten}]\nc: [{ten}]\nd: *a", where="f")


def test_a_file_beyond_the_limit_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_bytes(b"a: " + b"x" * MAX_BYTES)
    with pytest.raises(InputError, match=r"big\.yaml: more than 1048576 bytes"):
        read_yaml(path)
    with pytest.raises(InputError, match="more than 10 bytes"):
        load_yaml("a: 'ääääää'", where="f", max_bytes=10)


def test_files_that_cannot_be_read_or_are_not_utf_8_are_errors_with_the_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read"):
        read_yaml(tmp_path / "none.yaml")
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("a: größe".encode("latin-1"))
    with pytest.raises(InputError, match="not UTF-8"):
        read_yaml(latin)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=60), st.text(alphabet="[]{}:,-?&*!|>'\"%@`# \n\tab1.<", max_size=60)))
@example("a: \ud800")
@example('a: "\\UFFFFFFFF"')
@example("%YAML 99999999999999999.1\n---\na")
@example("\x00")
def test_any_text_gives_a_value_or_an_input_error(text: str) -> None:
    try:
        load_yaml(text, where="f")
    except InputError as error:
        assert str(error).startswith("f")
