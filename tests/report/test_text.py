from __future__ import annotations

from dataclasses import replace

import pytest

from rca.report.advice import contact_of, first_steps, undo
from rca.report.text import render_text
from rca.types import Case, Change, Report


def test_the_first_lines_are_the_answer(report: Report, case: Case) -> None:
    lines = render_text(report, case).splitlines()
    assert lines[0] == "ROOT CAUSE  payment  (sure, 86 %)"
    assert "pool.max_size was lowered from 50 to 5" in lines[1]


def test_each_part_of_the_answer_is_there(report: Report, case: Case) -> None:
    text = render_text(report, case, width=160)
    for part in (
        "The connection pool was 100 % in use",
        "13:59:40     payment change.config",
        "-> checkout latency.up latency_p95_ms  (a slow dependency slows its callers)",
        "“pool.max_size 50 -> 5” 20 s before the onset",
        "92 % of its extra time was spent in payment",
        "owner team payments",
        "runbook https://runbooks.example/payment",
        "Also seen there",
        "payment writes that its disk is slow",
        "Possible causes other than a change",
        "40 %  node-1 was busier than usual",
        "Critical failure",
        "checkout: A larger share of requests fails than in health",
        "Impact, explained by the cause",
        "cart sends no spans",
        "No health profile was given",
        "Set pool.max_size of payment back to 50 (now 5).",
        "noticed 14:06:00, 6 min later",
    ):
        assert part in text, part


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_wider_than_the_terminal(report: Report, case: Case, width: int) -> None:
    assert max(len(line) for line in render_text(report, case, width=width).splitlines()) <= width


def test_an_inconclusive_answer_does_not_sound_sure(report: Report) -> None:
    text = render_text(replace(report, verdict="inconclusive", culprit="none"))
    assert text.startswith("INCONCLUSIVE")
    assert "No cause is believed, for cart sends no spans: its own time" in text.replace("\n", " ")
    assert "ROOT CAUSE" not in text


def test_a_healthy_window_names_no_component(report: Report) -> None:
    text = render_text(replace(report, verdict="healthy", root_causes=(), suspects=(), blast_radius=(), impact=()))
    assert text.startswith("HEALTHY  \nNothing abnormal was found".replace("  \n", "\n"))
    assert "payment" not in text


def test_telemetry_cannot_steer_the_terminal(report: Report) -> None:
    hostile = replace(report.root_causes[0], component="\x1b[2Jpay[bold]ment\r\n", sentence="\x07 [red]x[/red]")
    text = render_text(replace(report, root_causes=(hostile,)))
    assert not set(text) & {"\x1b", "\x07", "\r"}
    assert "pay[bold]ment" in text
    assert "[red]x[/red]" in text


def test_a_replica_is_owned_by_whom_its_service_is_owned(case: Case) -> None:
    assert case.topology is not None
    topology = replace(case.topology, replica_of={"payment-7f9c": "payment"})
    assert contact_of("payment-7f9c", replace(case, topology=topology)).owner == "team payments"
    assert contact_of("nobody", case).owner == ""


@pytest.mark.parametrize(
    ("kind", "facts", "step"),
    [
        ("change.config", {"key": "ttl", "old": "60"}, "Set ttl of cart back to 60."),
        ("change.flag", {"flag": "fast-lane"}, "Switch the flag fast-lane of cart back."),
        ("change.deployment", {"previous": "1.2", "version": "1.3"}, "Roll cart back to 1.2 (now 1.3)."),
        ("change.deployment", {}, "Roll back new pricing on cart."),
        ("change.commit", {}, "Revert new pricing on cart."),
    ],
)
def test_a_change_is_undone_as_its_kind_is(kind: str, facts: dict[str, str], step: str) -> None:
    change = Change(id="c", component="cart", kind=kind, name="new pricing", time=0, attributes=facts)
    assert undo(change) == step


def test_a_well_believed_cause_that_is_no_change_comes_first(report: Report) -> None:
    full = replace(report.operational[0], severity=0.9)
    steps = first_steps(replace(report, culprit="none", operational=(full,)))
    assert steps[0].startswith("node-1: ")
    assert steps[1] == "Look at the most suspicious change, “pool.max_size 50 -> 5” on payment."


def test_without_a_believed_change_nobody_is_told_to_undo_it(report: Report) -> None:
    assert first_steps(report)[0].startswith("Set pool.max_size")
    steps = first_steps(replace(report, culprit="none"))
    assert not [step for step in steps if step.startswith(("Set", "Roll back"))]
    assert 1 <= len(steps) <= 4
