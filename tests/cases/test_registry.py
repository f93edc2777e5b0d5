from importlib.util import find_spec

import pytest

from rca.cases.alerting import alert_delay
from rca.cases.registry import SETS, load_set
from rca.errors import EvaluationError
from rca.types import MINUTE


def test_every_set_has_a_loader():
    assert [name for name, entry in SETS.items() if find_spec(entry.module) is None] == []


def test_an_unknown_set_is_an_error_that_lists_the_known_ones(tmp_path):
    with pytest.raises(EvaluationError, match="petshop"):
        next(load_set("pet-shop", tmp_path))


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(EvaluationError, match="no such folder"):
        next(load_set("native", tmp_path / "nowhere"))


def test_an_onset_that_is_no_choice_is_an_error(tmp_path):
    with pytest.raises(EvaluationError, match="guessed"):
        next(load_set("native", tmp_path, onset="guessed"))


def test_alerts_come_one_two_and_three_minutes_after_the_fault_in_turn():
    assert [alert_delay(i) // MINUTE for i in range(5)] == [1, 2, 3, 1, 2]
