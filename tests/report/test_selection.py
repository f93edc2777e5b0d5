from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from rca.causality import CausalityGraph
from rca.report.drawing import CARD, GAP, draw
from rca.report.selection import MOST_EVENTS, select
from rca.types import Event, Report


def many(report: Report, count: int) -> Report:
    """The report with ``count`` further events, each an effect of the first one."""
    graph = report.graph
    size = len(graph.events)
    extra = tuple(replace(graph.events[6], id=f"extra-{i:03d}", component=f"other-{i:03d}") for i in range(count))
    cause = np.concatenate([graph.cause, np.zeros(count, np.int32)])
    effect = np.concatenate([graph.effect, np.arange(size, size + count, dtype=np.int32)])
    order = np.lexsort((effect, cause))
    like = np.concatenate([np.arange(len(graph.cause)), np.zeros(count, np.int64)])[order]
    larger = CausalityGraph(
        events=(*graph.events, *extra),
        rules=graph.rules,
        cause=cause[order],
        effect=effect[order],
        rule=graph.rule[like],
        lag=graph.lag[like],
        weight=graph.weight[like],
    )
    return replace(report, graph=larger)


def test_everything_the_answer_names_is_shown(report: Report) -> None:
    shown = {event.id for event in select(report).events}
    named: list[Event] = [*report.critical]
    for cause in report.root_causes:
        named += [*cause.chain, *cause.because]
    assert {event.id for event in named} <= shown


def test_a_graph_of_hundreds_of_events_is_cut_to_what_can_be_read(report: Report) -> None:
    selection = select(many(report, 300))
    assert 7 <= len(selection.events) <= MOST_EVENTS
    assert selection.omitted == 307 - len(selection.events)


def test_a_named_event_is_never_left_out_for_a_neighbour(report: Report) -> None:
    shown = {event.id for event in select(many(report, 300)).events}
    assert {event.id for event in report.graph.events} <= shown


def test_the_links_of_the_first_chain_are_marked(report: Report) -> None:
    selection = select(report)
    assert len(selection.chain) == 5
    assert selection.chain <= {(link.cause.id, link.effect.id) for link in selection.links}


def test_an_event_that_is_not_in_the_graph_is_not_drawn(report: Report) -> None:
    first = report.root_causes[0]
    stray = replace(first.because[0], id="stray")
    with_stray = replace(report, root_causes=(replace(first, because=(stray,)), *report.root_causes[1:]))
    assert "stray" not in {event.id for event in select(with_stray).events}


def test_causes_stand_to_the_left_of_their_effects(report: Report) -> None:
    cards = {card.component: card for card in draw(report, select(report)).cards}
    assert cards["payment"].x < cards["checkout"].x < cards["web"].x
    assert cards["payment"].role == "root"
    assert cards["web"].role == "symptom"


def test_cards_do_not_overlap_and_lie_inside_the_drawing(report: Report) -> None:
    drawing = draw(report, select(many(report, 40)))
    for card in drawing.cards:
        assert card.x >= 0
        assert card.x + CARD <= drawing.width
        assert card.y >= 0
        assert card.y + card.height <= drawing.height
    ordered = sorted(drawing.cards, key=lambda card: (card.x, card.y))
    for above, below in pairwise(ordered):
        assert below.x >= above.x + CARD + GAP or below.y >= above.y + above.height


def test_labels_do_not_overlap(report: Report) -> None:
    labels = sorted(draw(report, select(report)).labels, key=lambda label: (label.x, label.y))
    for above, below in pairwise(labels):
        assert below.x > above.x or below.y >= above.y + 12 * len(above.lines)


def test_each_pair_of_components_has_its_rule_written_between_them(report: Report) -> None:
    written = {" ".join(label.lines) for label in draw(report, select(report)).labels}
    assert written == {
        "a slow dependency slows its callers",
        "a failing dependency makes its callers fail",
        "fewer finished orders mean less traffic",
    }
