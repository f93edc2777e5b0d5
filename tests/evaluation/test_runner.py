import json
import sys
from types import SimpleNamespace

import pytest

from rca.cases.labelled import LabelledCase
from rca.errors import EvaluationError, InputError
from rca.evaluation import evaluate, runner
from rca.evaluation.methods import METHODS, read_report
from rca.evaluation.page import render_page, write_page
from rca.telemetry import Telemetry
from rca.topology import Topology
from rca.types import Alert, Answer, Case, Change, Event, Incident, Report, RootCause, Window

COMPONENTS = ("a", "b", "c", "d")


def labelled(name, root, *, alerts=(), kind="cpu", changes=(), **answer):
    incident = Incident(id=name, window=Window(start=0, end=60))
    telemetry = Telemetry(alerts=tuple(Alert(component=c, name="x") for c in alerts), changes=tuple(changes))
    case = Case(incident=incident, telemetry=telemetry, topology=Topology.from_edges([], components=COMPONENTS))
    return LabelledCase(case, Answer(components=(root,) if root else (), kind=kind, **answer))


@pytest.fixture
def incidents(monkeypatch):
    cases = [
        labelled("x/1", "a", alerts="aab"),
        labelled("x/2", "a", alerts="ab", kind="memory"),
        labelled("y/1", "b", alerts="a"),
        labelled("y/2", "a"),
    ]
    monkeypatch.setattr(runner, "load_set", lambda name, data, *, onset: iter(cases))
    return cases


@pytest.fixture
def engine(monkeypatch):
    """Stands in for the engine: ranks a before b before c and d, which tie; fails on y/2."""

    def analyze(case):
        if case.incident.id == "y/2":
            raise InputError("the case is broken", remedy="Mend it")
        return report(case.incident, {"a": 0.9, "b": 0.4, "c": 0.0, "d": 0.0})

    monkeypatch.setitem(sys.modules, "rca.pipeline", SimpleNamespace(analyze=analyze))


def report(incident, scores, culprit="none"):
    event = Event(id="e", component="a", kind="saturation.cpu", name="cpu", start=0, end=1, severity=1.0)
    roots = tuple(
        RootCause(component=name, event=event, score=score, confidence=0.5, sentence="")
        for name, score in list(scores.items())[:2]
    )
    return Report(
        incident=incident,
        verdict="cause",
        root_causes=roots,
        ranking=tuple(scores),
        scores=tuple(scores.values()),
        critical=(),
        impact=(),
        blast_radius=(),
        suspects=(),
        culprit=culprit,
        onset=None,
        missing=(),
        warnings=(),
        graph=None,
    )


def test_figures_of_the_engine_by_hand(incidents, engine):
    figures = json.loads(evaluate("native", ".").to_json())
    ours = figures["methods"]["rca"]
    # ranks: 1, 1, 2, failed
    assert (ours["AC@1"], ours["AC@3"], ours["MRR"], ours["failed"]) == (0.5, 0.75, 0.625, 1)
    assert (figures["dataset"], figures["n"]) == ("native", 4)
    assert figures["ranks"] == {name: ["a", "b", "c", "d"] for name in ("x/1", "x/2", "y/1")} | {"y/2": []}
    assert ours["failures"] == {"y/2": "the case is broken. Mend it"}
    assert ours["seconds_per_incident"] >= 0


def test_results_stand_by_fault_and_by_system(incidents, engine):
    figures = evaluate("native", ".").to_dict()
    assert {name: (group["n"], group["rca"]["AC@1"]) for name, group in figures["by_fault"].items()} == {
        "cpu": (3, pytest.approx(1 / 3)),
        "memory": (1, 1.0),
    }
    assert {name: group["n"] for name, group in figures["by_system"].items()} == {"x": 2, "y": 2}


def test_the_type_of_fault_is_measured_where_it_is_labelled(incidents, engine):
    level = evaluate("native", ".").summary("rca")["fault_level"]
    # of the four only x/1 has the right component first and the event's kind is that of a processor
    assert (level["n"], level["AC@1"], level["AC@3"]) == (4, 0.25, 0.5)


def test_what_a_method_does_not_name_shares_the_last_place(incidents):
    evaluation = evaluate("native", ".", methods=["alert-count"])
    ranks = [case.methods["alert-count"].card.tolist() for case in evaluation.cases]
    # x/1: first; x/2: tied with b; y/1: b shares the last of four places; y/2: nothing to count
    assert [card[5] for card in ranks] == [1.0, 0.5, 0.25, 0.0]


def test_random_is_the_expected_value(incidents):
    assert evaluate("native", ".", methods=["random"]).measures("random")["AC@1"] == 0.25


def test_the_label_prior_leaves_the_incident_itself_out(incidents):
    evaluation = evaluate("native", ".", methods=["label-prior"])
    # x/1, x/2, y/2: two others have the root a, one b; y/1: three have a, none b, which ties with c and d
    assert [1 / case.methods["label-prior"].card[5] for case in evaluation.cases] == [1, 1, 4, 1]


def test_all_methods_run_where_none_is_chosen(incidents, engine):
    evaluation = evaluate("native", ".", methods=None)
    assert evaluation.methods == METHODS
    assert list(evaluation.cases[0].methods) == list(METHODS)
    assert evaluation.summary("baro")["failed"] == 4


def test_progress_is_told_with_the_number_once_it_is_known(incidents, engine):
    calls = []
    evaluate("native", ".", progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 0), (2, 0), (3, 0), (4, 0), (4, 4)]


def test_changes_are_counted_where_they_are_labelled(monkeypatch):
    def case(name, commit, label, decoys):
        change = Change(id=commit, component="a", kind="change.deployment", name="", time=1)
        return labelled(name, "a", changes=[change], change=label, decoys=decoys, first_failing="a")

    cases = [case("1", "good", "bad", ("good",)), case("2", "bad", "bad", ()), case("3", "good", "none", ("good",))]
    monkeypatch.setattr(runner, "load_set", lambda name, data, *, onset: iter(cases))
    figures = evaluate("rootcausebench", ".", methods=["latest-change", "random"]).to_dict()["methods"]
    counts = {name: [row[key] for key in ("first_failing", "culprit", "decoys")] for name, row in figures.items()}
    assert counts == {"latest-change": [3, 1, 2], "random": [0.75, 0, 0]}


def test_the_report_s_order_is_shown_while_its_scores_decide_ties(monkeypatch):
    opinion = read_report(report(None, {"b": 0.5, "a": 0.5, "d": 0.1, "c": 0.0}, culprit="c0"))
    assert (opinion.ranking, opinion.culprit) == (("b", "a", "d", "c"), "c0")
    tied = [labelled("1", "b")]
    monkeypatch.setattr(runner, "load_set", lambda name, data, *, onset: iter(tied))
    answer = report(None, {"b": 0.5, "a": 0.5})
    monkeypatch.setitem(sys.modules, "rca.pipeline", SimpleNamespace(analyze=lambda case: answer))
    figures = evaluate("native", ".").to_dict()
    assert figures["ranks"] == {"1": ["b", "a"]}
    assert figures["methods"]["rca"]["MRR"] == 0.5


def test_an_unexpected_error_of_the_engine_is_a_failure_not_the_end(incidents, monkeypatch):
    def analyze(case):
        raise ZeroDivisionError("oops")

    monkeypatch.setitem(sys.modules, "rca.pipeline", SimpleNamespace(analyze=analyze))
    figures = evaluate("native", ".").summary("rca")
    assert (figures["failed"], figures["AC@5"]) == (4, 0.0)
    assert figures["failures"]["x/1"] == "ZeroDivisionError: oops"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"methods": ["magic"]}, "magic"),
        ({"methods": []}, "no method"),
        ({"train": "5-fold"}, "do not fill 5 folds"),
        ({"jobs": 0}, "jobs is 0"),
    ],
)
def test_options_that_cannot_be_are_errors(incidents, options, problem):
    with pytest.raises(EvaluationError, match=problem):
        evaluate("native", ".", **options)


def test_a_set_without_incidents_is_an_error(monkeypatch):
    monkeypatch.setattr(runner, "load_set", lambda name, data, *, onset: iter(()))
    with pytest.raises(EvaluationError, match="no incidents"):
        evaluate("native", ".", methods=["random"])


def test_two_processes_give_what_one_gives(incidents):
    methods = ["alert-count", "label-prior"]
    one, two = (evaluate("native", ".", methods=methods, jobs=jobs).to_dict() for jobs in (1, 2))
    for figures in (one, two):
        for row in figures["methods"].values():
            del row["seconds_per_incident"]
    assert one == two


def test_the_page_is_self_contained_and_the_same_each_time(incidents, tmp_path):
    evaluation = evaluate("native", ".", methods=["random", "alert-count"])
    page = render_page(evaluation)
    assert page.count("<svg") == 2
    assert "<script" not in page
    assert 'src="' not in page
    assert "alert-count" in page
    assert page == render_page(evaluation)
    write_page(evaluation, tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page


def test_names_from_data_are_escaped_in_the_page(monkeypatch):
    cases = [labelled("<b>&1</b>", "a", kind="<i>$x</i>")]
    monkeypatch.setattr(runner, "load_set", lambda name, data, *, onset: iter(cases))
    page = render_page(evaluate("native", ".", methods=["random"]))
    assert "<b>" not in page
    assert "<i>" not in page
    assert "&lt;b&gt;&amp;1&lt;/b&gt;" in page


def test_windows_without_a_fault_are_counted_apart(monkeypatch, engine, incidents):
    before = evaluate("native", "x", methods=["rca", "alert-count"])
    incidents += [labelled("z/1", "", kind="none"), labelled("y/2", "", kind="none")]
    after = evaluate("native", "x", methods=["rca", "alert-count"])
    assert after.to_dict()["n"] == len(before.cases) == 4
    assert after.to_dict()["without_fault"] == 2
    assert after.measures("rca") == before.measures("rca")
    # It believes in a cause in z/1 and fails on y/2.
    assert after.false_causes("rca") == 1
    assert before.false_causes("rca") is None
    assert "Beside them 2 without a fault, answered with a cause by rca: 1." in render_page(after)
