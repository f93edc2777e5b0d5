"""The catalogue of event kinds."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rca.errors import RuleError
from rca.kinds import load_kinds, parse_kinds
from rca.rules import load_rules

GOOD = "performance:\n  latency.up:\n    role: impact\n    text: Slow.\n    action: Look.\n"

MISTAKES = [
    ("", "no kinds", "an empty file is a mistake, not an empty catalogue"),
    ("- latency.up", "no kinds", "a list has no groups"),
    ("performance:\n", "holds no kinds", "a group without kinds was left unfinished"),
    ("speed:\n  latency.up: {}\n", "group 'speed' is unknown", "groups are a closed list"),
    (GOOD.replace("latency.up", "Latency"), "no name of a kind", "kinds have a dot and lower case"),
    (GOOD.replace("role: impact", "role: guilty"), "role of 'latency.up' is 'guilty'", "roles are a closed list"),
    (GOOD.replace("    role: impact\n", ""), "role of 'latency.up' is None", "a role is needed"),
    (GOOD + "    weight: 1\n", "key 'weight'", "unknown keys are typing errors"),
    (GOOD + "    prior: 1.5\n", "prior of 'latency.up' is 1.5", "a prior is a share"),
    (GOOD + "    prior: true\n", "prior of 'latency.up' is True", "true is no number"),
    (GOOD + "    explainable: maybe\n", "explainable of 'latency.up'", "only true and false are known"),
    (GOOD.replace("text: Slow.", "text: 7"), "text of 'latency.up'", "a sentence is a text"),
    (GOOD.replace("    action: Look.\n", ""), "action of 'latency.up'", "each kind says what to do first"),
    (GOOD + GOOD, "stands twice", "YAML would silently keep the last of two groups"),
    (GOOD + GOOD.replace("performance", "status"), "stands twice", "a kind belongs to one group"),
]


@pytest.mark.parametrize(("text", "problem", "reason"), MISTAKES, ids=[reason for _, _, reason in MISTAKES])
def test_a_mistake_in_the_catalogue_is_an_error_with_remedy(text: str, problem: str, reason: str) -> None:
    with pytest.raises(RuleError, match="kinds") as caught:
        parse_kinds(text)
    assert problem in str(caught.value)
    assert caught.value.remedy


def test_an_error_names_the_line_of_the_kind() -> None:
    with pytest.raises(RuleError) as caught:
        parse_kinds("# a comment\n" + GOOD + "    prior: -1\n", where="kinds.yaml")
    assert caught.value.where == "kinds.yaml, line 3"


def test_prior_and_explainable_have_defaults() -> None:
    kind = parse_kinds(GOOD)["latency.up"]
    assert (kind.prior, kind.explainable, kind.group, kind.role) == (1.0, False, "performance", "impact")


def test_observations_have_no_prior_and_activities_are_never_explained_away() -> None:
    kinds = load_kinds().values()
    assert {kind.name for kind in kinds if kind.role == "observation"} == {
        kind.name for kind in kinds if kind.prior == 0
    }
    assert not [kind.name for kind in kinds if kind.role == "activity" and kind.explainable]


def test_degradations_can_be_explained_and_every_group_is_there() -> None:
    kinds = load_kinds()
    assert all(kind.explainable for kind in kinds.values() if kind.role == "impact")
    assert len(Counter(kind.group for kind in kinds.values())) == 7


def test_every_text_and_action_is_one_sentence() -> None:
    for kind in load_kinds().values():
        for sentence in (kind.text, kind.action):
            assert sentence[0].isupper(), kind.name
            assert sentence.endswith("."), kind.name


def test_the_catalogue_is_read_once_and_cannot_be_changed() -> None:
    assert load_kinds() is load_kinds()
    with pytest.raises(TypeError):
        load_kinds()["x.y"] = load_kinds()["latency.up"]  # type: ignore[index]


def test_every_kind_that_may_be_a_root_cause_is_the_cause_of_some_rule() -> None:
    causes = {kind for rule in load_rules() for kind in rule.cause}
    roots = {kind.name for kind in load_kinds().values() if kind.role in ("activity", "failure")}
    assert roots
    assert not roots - causes


@given(st.text(st.sampled_from("performance: latency.up\n -{}[]role\"'&*!1"), max_size=80))
def test_any_text_gives_kinds_or_a_rule_error(text: str) -> None:
    try:
        assert parse_kinds(text)
    except RuleError as error:
        assert error.where
