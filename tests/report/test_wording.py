from __future__ import annotations

from dataclasses import replace

import pytest

from rca.notify.summary import summarize
from rca.report.document import to_document
from rca.report.page import render_page
from rca.report.wording import event_sentence, listing, reason_sentence
from rca.types import MINUTE, Report


def test_a_long_list_ends_in_a_count() -> None:
    assert listing(["a", "b"], 2) == "a, b"
    assert listing(["a", "b", "c", "d"], 2) == "a, b and 2 more"


@pytest.mark.parametrize(
    ("seen", "when"),
    [
        (3 * MINUTE, ", where the cause was seen 3 min later"),
        (-3 * MINUTE, ", where the cause was seen 3 min before"),
        (0, ""),
    ],
)
def test_what_a_caller_showed_is_said_to_be_taken_over_and_when_the_cause_itself_was_seen(
    report: Report, seen: int, when: str
) -> None:
    first = report.root_causes[0]
    own = first.because[0]
    others = replace(own, id="of the caller", component="checkout", start=own.start - seen)
    cause = replace(first, because=(own, others))
    assert reason_sentence(own, cause) == event_sentence(own)
    assert (
        reason_sentence(others, cause)
        == f"{event_sentence(own)}; taken over from checkout, which depends on payment{when}"
    )
    assert reason_sentence(others, replace(cause, because=(others,))).endswith("depends on payment")

    told = replace(report, root_causes=(cause,))
    document = to_document(told)
    assert document["root_causes"][0]["taken_over"] == {"of the caller": reason_sentence(others, cause)}
    assert any("taken over from checkout" in reason for reason in summarize(document).reasons)
    assert "taken over from checkout" in render_page(told)
