"""Rules: strict parsing, and what ships."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rca.errors import RuleError
from rca.kinds import load_kinds
from rca.rules import Condition, Creation, Rule, describe_rules, lag_text, load_rules, parse_rules
from rca.types import MINUTE, SECOND

GOOD = """\
- name: slow below, slow above
  cause: latency.up
  effect: latency.up
  relation: dependency
  max_lag: 5m
  weight: 0.7
  why: A caller waits.
"""
CREATES = GOOD.replace("cause: latency.up", "cause: external.provider_error").replace(
    "relation: dependency", 'creates: {kind: external, name: "{peer}"}'
)


def changed(old: str, new: str, text: str = GOOD) -> str:
    assert old in text
    return text.replace(old, new)


MISTAKES = [
    ("", "no list of rules", 0, "an empty file is a mistake, not an empty rule book"),
    ("[]", "no list of rules", 0, "so is an empty list"),
    ("name: x", "no list of rules", 0, "one rule without its dash"),
    ("- just text", "entry 1 is no rule", 0, "an entry has to be a mapping"),
    (GOOD + "  until: 5m\n", "unknown key 'until'", 8, "unknown keys are typing errors"),
    (changed("cause: latency.up", "cause: latency.high"), "unknown kind 'latency.high'", 2, "kinds are a catalogue"),
    (changed("effect: latency.up", "effect: nothing.*"), "unknown kind 'nothing.*'", 3, "a wildcard has to match"),
    (changed("effect: latency.up", "effect: '*'"), "unknown kind '*'", 3, "everything is not a kind"),
    (changed("effect: latency.up", "effect: []"), "bad 'effect'", 3, "a rule without effect joins nothing"),
    (changed("  cause: latency.up\n", ""), "bad 'cause'", 1, "a rule without cause joins nothing"),
    (changed("dependency", "cousin"), "unknown relation 'cousin'", 4, "relations are a closed list"),
    (changed("  relation: dependency\n", ""), "unknown relation None", 1, "a relation is not guessed"),
    (changed("max_lag: 5m", "max_lag: 5"), "bad 'max_lag' 5", 5, "a lag without unit is ambiguous"),
    (changed("max_lag: 5m", "max_lag: 0s"), "bad 'max_lag' '0s'", 5, "nothing follows in no time at all"),
    (changed("max_lag: 5m", "max_lag: -5m"), "bad 'max_lag' '-5m'", 5, "causes come first"),
    (changed("max_lag: 5m", "max_lag: 31d"), "bad 'max_lag' '31d'", 5, "beyond a month anything follows anything"),
    (changed("  max_lag: 5m\n", ""), "bad 'max_lag' None", 1, "a lag is not guessed"),
    (changed("weight: 0.7", "weight: 0"), "bad 'weight' 0", 6, "a rule of weight 0 is no rule"),
    (changed("weight: 0.7", "weight: 1.1"), "bad 'weight' 1.1", 6, "a weight is a share"),
    (changed("weight: 0.7", "weight: true"), "bad 'weight' True", 6, "true is no number"),
    (changed("weight: 0.7", "weight: '0.7'"), "bad 'weight' '0.7'", 6, "a text is no number"),
    (changed("weight: 0.7", "weight: .nan"), "not finite", 6, "NaN compares with nothing"),
    (changed("  why: A caller waits.\n", ""), "bad 'why'", 1, "a rule gives its reason"),
    (changed("name: slow below, slow above", "name: ''"), "bad 'name'", 1, "a rule without name cannot be shown"),
    (changed("name: slow below, slow above", "name: [a]"), "bad 'name'", 1, "a name is a text"),
    (changed("name: slow below, slow above", "name: " + "x" * 121), "bad 'name'", 1, "names go into tables"),
    (GOOD + GOOD, "a second rule is called", 8, "two rules of one name cannot be told apart"),
    (GOOD + "  weight: 0.5\n", "stands twice", 8, "YAML would silently keep the last"),
    (GOOD + "  when: same\n", "bad 'when'", 8, "conditions are a mapping"),
    (GOOD + "  when: {}\n", "bad 'when'", 8, "an empty condition was left unfinished"),
    (GOOD + "  when: {equal: [zone]}\n", "unknown key 'equal' in 'when'", 8, "conditions are a closed list"),
    (GOOD + "  when: {same: zone}\n", "bad 'same' in 'when'", 8, "same takes a list"),
    (GOOD + "  when: {same: []}\n", "bad 'same' in 'when'", 8, "an empty list compares nothing"),
    (GOOD + "  when: {same: [7]}\n", "no name of an attribute", 8, "attributes have names"),
    (GOOD + "  when: {at_least: {severity: high}}\n", "in 'at_least' is 'high'", 8, "thresholds are numbers"),
    (GOOD + "  when: {cause: {zone: 1}}\n", "in 'cause' is 1", 8, "attributes are texts"),
    (GOOD + "  when: {effect: zone}\n", "bad 'effect' in 'when'", 8, "values belong to an attribute"),
    (changed("cause: external.provider_error", "cause: external.*", CREATES), "several causes", 2, "one event is made"),
    (CREATES + "  relation: caller\n", "another relation", 8, "what is made is what was called"),
    (CREATES + "  when: {same: [zone]}\n", "condition on the cause", 8, "the cause does not exist yet"),
    (changed('{peer}"', 'peer"', CREATES), "bad name 'peer'", 4, "a fixed name would join unrelated incidents"),
    (changed("{peer}", "{peer.__class__}", CREATES), "bad name", 4, "a template reaches no Python objects"),
    (changed("{peer}", "{0}", CREATES), "bad name", 4, "a template names attributes"),
    (changed("kind: external", "sort: external", CREATES), "bad 'creates'", 4, "creates has a kind and a name"),
    (changed("kind: external", "kind: 7", CREATES), "bad kind 7", 4, "a kind is a text"),
    ("- " * 30 + "x", "levels of nesting", 1, "depth is limited"),
    ("- !!python/object:os.system {}", "not allowed", 1, "tags make no objects"),
    ("- [\n", "not YAML", 2, "broken syntax is named as such"),
]


@pytest.mark.parametrize(("text", "problem", "line", "reason"), MISTAKES, ids=[row[3] for row in MISTAKES])
def test_a_mistake_in_a_rule_is_an_error_with_line_and_remedy(text: str, problem: str, line: int, reason: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse_rules(text, where="my.yaml")
    assert problem in str(caught.value)
    assert caught.value.remedy
    assert caught.value.where == (f"my.yaml, line {line}" if line else "my.yaml")


def test_aliases_are_capped() -> None:
    bomb = "- &a [x, x]\n" + "".join("- [*a, *a, *a, *a]\n" for _ in range(9))
    with pytest.raises(RuleError, match="aliases"):
        parse_rules(bomb)


def test_a_rule_is_read_whole() -> None:
    text = GOOD.replace("effect: latency.up", "effect: [saturation.*, errors.up]") + (
        "  when:\n    same: [zone, team]\n    intersects: [colo]\n    at_least: {severity: 0.5}\n"
        "    cause: {component_kind: [host, vm]}\n    effect: {direction: up}\n"
    )
    (rule,) = parse_rules(text, where="folder/area.yaml")
    saturations = {kind for kind in load_kinds() if kind.startswith("saturation.")}
    assert set(rule.effect) == saturations | {"errors.up"}
    assert rule.when == Condition(
        same=("team", "zone"),
        intersects=("colo",),
        at_least=(("severity", 0.5),),
        cause=(("component_kind", ("host", "vm")),),
        effect=(("direction", ("up",)),),
    )
    assert (rule.max_lag, rule.weight, rule.area) == (5 * MINUTE, 0.7, "area")
    assert rule.where == "folder/area.yaml, line 1"


def test_a_dynamic_rule_is_a_dependency_on_what_it_creates() -> None:
    (rule,) = parse_rules(CREATES)
    assert rule.relation == "dependency"
    assert rule.creates == Creation(kind="external", name="{peer}")


@pytest.mark.parametrize(
    ("text", "lag"), [("90s", 90 * SECOND), ("1.5m", 90 * SECOND), ("2h", 120 * MINUTE), ("30d", 43_200 * MINUTE)]
)
def test_a_lag_has_a_unit(text: str, lag: int) -> None:
    (rule,) = parse_rules(changed("max_lag: 5m", f"max_lag: {text}"))
    assert rule.max_lag == lag


@given(st.integers(1, 30 * 86_400))
def test_a_lag_is_written_as_it_is_read(seconds: int) -> None:
    (rule,) = parse_rules(changed("max_lag: 5m", f"max_lag: {seconds}s"))
    (again,) = parse_rules(changed("max_lag: 5m", f"max_lag: {lag_text(rule.max_lag)}"))
    assert again.max_lag == seconds * SECOND


def test_names_are_unique_across_files_and_the_error_names_both(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text(GOOD)
    with pytest.raises(RuleError, match="a second rule is called") as caught:
        load_rules([tmp_path])
    assert "b.yaml, line 1" in str(caught.value)
    assert "a.yaml, line 1" in str(caught.value)


@pytest.mark.parametrize("name", ["missing.yaml", "empty"])
def test_a_missing_file_and_an_empty_folder_are_errors(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(RuleError) as caught:
        load_rules([tmp_path / name])
    assert caught.value.remedy


def test_rules_come_sorted_by_name_however_files_are_ordered(tmp_path: Path) -> None:
    (tmp_path / "z.yaml").write_text(changed("slow below", "a"))
    (tmp_path / "a.yaml").write_text(changed("slow below", "z"))
    files = [tmp_path / "z.yaml", tmp_path / "a.yaml"]
    assert [rule.name for rule in load_rules(files)] == ["a, slow above", "z, slow above"]
    assert load_rules(files) == load_rules(reversed(files))


def test_a_rule_made_in_code_is_checked_too() -> None:
    good = parse_rules(GOOD)[0]
    facts = {name: getattr(good, name) for name in ("name", "cause", "effect", "relation", "max_lag", "weight", "why")}
    for wrong in ({"weight": 0.0}, {"weight": float("nan")}, {"max_lag": 0}, {"cause": ()}):
        with pytest.raises(RuleError):
            Rule(**{**facts, **wrong})


def test_at_least_sixty_rules_ship_over_every_area() -> None:
    rules = load_rules()
    assert len(rules) >= 60
    areas = {"services", "databases", "queues", "hosts", "kubernetes", "external", "changes", "models", "data"}
    assert areas <= {rule.area for rule in rules}
    assert {rule.relation for rule in rules} >= {"self", "dependency", "caller", "same_host", "same_model", "lineage"}
    assert any(rule.creates for rule in rules)
    assert any(rule.when != Condition() for rule in rules)


def test_no_shipped_rule_makes_an_activity_an_effect_except_what_follows_by_itself() -> None:
    activities = {kind.name for kind in load_kinds().values() if kind.role == "activity"}
    caused = {effect for rule in load_rules() for effect in rule.effect}
    assert activities & caused == {"data.released", "retraining.finished"}


def test_rules_are_described_as_rows_of_texts() -> None:
    (row,) = describe_rules(parse_rules(GOOD + "  when: {same: [zone], at_least: {severity: 0.5}}\n"))
    assert row["when"] == "same zone, cause's severity >= 0.5"
    assert row["max_lag"] == "5m"
    assert all(isinstance(value, (str, float)) for value in row.values())


PIECES = st.sampled_from(
    [
        *(f"{line}\n" for line in GOOD.splitlines()),
        *("- ", "  when: {", "same: [zone]", "}\n", "&a ", "*a", "!!x ", "'", "[", "\t", "\x00"),
    ]
)


@given(st.lists(PIECES, max_size=14).map("".join))
def test_any_text_gives_rules_or_a_rule_error(text: str) -> None:
    try:
        assert parse_rules(text)
    except RuleError as error:
        assert error.where
