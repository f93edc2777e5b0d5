"""Words: how they are split, how rare they are, what they speak of."""

from __future__ import annotations

from rca.suspects.behaviour import judge_change
from rca.suspects.vocabulary import load_concepts, rarity, stem, tokens
from rca.types import Change


def test_identifiers_are_split_and_kept_whole() -> None:
    assert tokens("getUserName user_name HTTPServer") == {
        "get",
        "user",
        "name",
        "=getusername",
        "=username",
        "http",
        "serv",
        "=httpserver",
    }


def test_endings_are_cut_and_short_words_are_not() -> None:
    assert (stem("connections"), stem("retries"), stem("bus")) == ("connection", "retr", "bus")


def test_status_codes_and_keywords_say_nothing() -> None:
    assert tokens("return nil 500 error") == frozenset()


def test_words_of_every_program_are_common_and_names_of_products_are_rare() -> None:
    assert rarity("get") < 0.2
    assert rarity("dynamodb") == 1.0


def test_trouble_spreads_to_what_it_shows_as_with_less_belief() -> None:
    concepts = load_concepts()
    beliefs: dict[str, float] = {}
    concepts.add_words(beliefs, tokens("heap"), 1.0)
    spread = concepts.spread(beliefs)
    assert spread["memory"] > spread["startup"] > 0


def test_every_kind_of_behaviour_of_the_table_is_one_that_is_found() -> None:
    diff = "-\tif a != nil {\n-\t\tb(a)\n-\t}\n+\tb(a)\n"
    change = Change(id="x", component="", kind="change.commit", name="", time=0, files=("a.go",), diff=diff)
    assert set(judge_change(change).kinds) & set(load_concepts().of_behaviour)
