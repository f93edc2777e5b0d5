"""PetShop's files, written small, and the figures that amounts alone reach on the published incidents."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from rca.cases.petshop import HEALTHY_ROWS_BEFORE, ROW, component_kind, load
from rca.errors import CaseError, EvaluationError
from rca.extract.amounts import extract_amounts
from rca.extract.context import prepare
from rca.settings import Settings
from rca.types import SECOND

START = 1_700_000_000
SERIES = [
    ("front", "latency", "Average"),
    ("front", "latency", "p90"),
    ("front", "requests", "Sum"),
    ("front", "availability", "Average"),
    ("db_AWS::DynamoDB::Table", "requests", "Sum"),
]


def write_metrics(path: Path, start: int, rows: int, series=SERIES) -> None:
    path.parent.mkdir(parents=True)
    lines = [",".join(["", *(s[level] for s in series)]) for level in range(3)]
    lines.append(",".join(["unix_timestamp", *[""] * len(series)]))
    lines += [",".join(map(str, [float(start + 300 * i), *range(i, i + len(series))])) for i in range(rows)]
    path.write_text("\n".join(lines) + "\n")


def write_issue(folder: Path, start: int = START) -> None:
    write_metrics(folder / "metrics.csv", start, 5)
    label = {
        "target": {"node": "front", "metric": "latency", "agg": "Average", "timestamp": start + 400},
        "root_cause": {"node": "db_AWS::DynamoDB::Table", "metric": None},
    }
    (folder / "target.json").write_text(json.dumps(label))


def write_scenario(folder: Path, issues: tuple[str, ...] = ("train/issue_0", "test/issue_10", "test/issue_9")) -> None:
    write_metrics(folder / "noissue" / "metrics.csv", START - 9_000_000, 40)
    names = ["front", "db_AWS::DynamoDB::Table", "new_AWS::SQS::Queue"]
    rows = [",".join(["caller", *names]), f"{names[0]},0,1,1", f"{names[1]},0,0,0", f"{names[2]},0,0,0"]
    (folder / "graph.csv").write_text("\n".join(rows) + "\n")
    for issue in issues:
        write_issue(folder / issue)


@pytest.fixture
def scenario(tmp_path):
    write_scenario(tmp_path / "low_traffic")
    return tmp_path / "low_traffic"


def test_a_scenario_gives_its_incidents_in_natural_order(scenario):
    found = [case.incident.id for case, _ in load(scenario)]
    assert found == ["low_traffic/test/issue_9", "low_traffic/test/issue_10", "low_traffic/train/issue_0"]


def test_a_folder_of_scenarios_gives_all_of_them_at_any_depth(tmp_path):
    write_scenario(tmp_path / "petshop" / "low_traffic", ("train/issue_0",))
    write_scenario(tmp_path / "petshop" / "temporal" / "temporal_traffic1", ("train/issue_0",))
    found = [case.incident.id for case, _ in load(tmp_path)]
    assert found == ["petshop/low_traffic/train/issue_0", "petshop/temporal/temporal_traffic1/train/issue_0"]


def test_a_given_onset_gives_the_abnormal_rows_alone(scenario):
    case, _ = next(load(scenario, onset="given"))
    assert case.telemetry.metrics.times.tolist() == [(START + 300 * i) * SECOND for i in range(5)]
    assert case.incident.onset == case.incident.window.start == START * SECOND
    assert case.incident.window.end == (START + 1500) * SECOND
    assert case.incident.detected_at == (START + 400) * SECOND


def test_an_estimated_onset_puts_healthy_rows_before_and_tells_nothing(scenario):
    case, _ = next(load(scenario, onset="estimated"))
    times = case.telemetry.metrics.times
    assert case.incident.onset is None
    assert times.size == HEALTHY_ROWS_BEFORE + 5 and (np.diff(times) == ROW).all()
    assert int(times[HEALTHY_ROWS_BEFORE]) == START * SECOND
    front = row_of(case, "front", "latency")
    assert front[:HEALTHY_ROWS_BEFORE].tolist() == list(range(40 - HEALTHY_ROWS_BEFORE, 40))
    assert front[HEALTHY_ROWS_BEFORE:].tolist() == [0, 1, 2, 3, 4]


def row_of(case, component, metric):
    frame = case.telemetry.metrics
    here = (frame.component == frame.components.index(component)) & (frame.metric == frame.metrics.index(metric))
    return frame.values[here][0]


def test_means_keep_their_name_and_percentiles_get_one(scenario):
    case, _ = next(load(scenario))
    assert case.telemetry.metrics.metrics == ("availability", "latency", "latency_p90", "requests")


def test_a_component_that_nobody_called_had_no_requests(scenario):
    case, _ = next(load(scenario))
    assert row_of(case, "new_AWS::SQS::Queue", "requests").tolist() == [0.0] * (HEALTHY_ROWS_BEFORE + 5)


def test_the_healthy_rows_are_the_profile_and_the_graph_the_topology(scenario):
    case, _ = next(load(scenario))
    assert case.health.metrics.sample.times.size == 40
    assert case.topology.callees("front") == ("db_AWS::DynamoDB::Table", "new_AWS::SQS::Queue")


def test_the_answer_stands_apart_from_the_case(scenario):
    case, answer = next(load(scenario))
    assert answer.components == ("db_AWS::DynamoDB::Table",) and answer.metric == ""
    assert case.incident.symptoms[0].component == "front"
    assert "DynamoDB" not in case.incident.title


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("orders_AWS::SQS::Queue", "queue"),
        ("pets_AWS::DynamoDB::Table", "database"),
        ("users@host.rds.example_Database::SQL", "database"),
        ("api.example.com_remote", "external"),
        ("stepfn_client", "client"),
        ("price_AWS::Lambda::Function", "service"),
        ("front", "service"),
    ],
)
def test_the_suffix_of_a_name_tells_the_kind(name, kind):
    assert component_kind(name) == kind


def test_a_folder_without_a_scenario_is_refused(tmp_path):
    with pytest.raises(EvaluationError, match=r"graph\.csv"):
        next(load(tmp_path))


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("test/issue_9/target.json", "{"),
        ("test/issue_9/target.json", '{"target": {"node": "front"}}'),
        ("test/issue_9/target.json", "[]"),
        ("test/issue_9/metrics.csv", ""),
        ("test/issue_9/metrics.csv", "a,b\n1,2\n"),
        ("test/issue_9/metrics.csv", ",f\n,requests\n,Sum\nt,\n1.0,many\n"),
        ("test/issue_9/metrics.csv", ",f\n,requests\n,Sum\nt,\n2.0,1\n1.0,1\n"),
        ("test/issue_9/metrics.csv", ",f\n,requests\n,Sum\nt,\n1.0,inf\n"),
        ("graph.csv", ",front\nfront,yes\n"),
        ("noissue/metrics.csv", "\x00"),
    ],
)
def test_a_malformed_file_is_named(scenario, file, text):
    (scenario / file).write_text(text)
    with pytest.raises(CaseError, match=Path(file).name):
        list(load(scenario))


@pytest.fixture
def published():
    root = Path(os.environ.get("RCA_DATA", Path(__file__).parents[2] / ".data")) / "petshop"
    if not root.is_dir():
        pytest.skip(f"no PetShop below {root.parent}: set RCA_DATA to the folder of the unpacked sets")
    return root


@pytest.mark.data
@pytest.mark.parametrize("onset", ["given", "estimated"])
def test_amounts_alone_find_the_cause_of_the_published_incidents(published, onset):
    ranks = []
    for case, answer in load(published, onset=onset):
        blame = dict.fromkeys(case.topology.components, 0.0)
        for event in extract_amounts(prepare(case, Settings())):
            blame[event.component] = max(blame[event.component], event.evidence.blame)
        ranks.append(sum(value >= blame[answer.components[0]] for value in blame.values()))
    found = np.array(ranks)
    assert (found <= 1).mean() >= 0.92 and (found <= 3).mean() >= 0.96
