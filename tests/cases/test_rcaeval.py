import csv

import numpy as np
import pytest

from rca.cases.rcaeval import load
from rca.errors import CaseError
from rca.types import MINUTE, SECOND

INJECTED = 1_700_000_600
TIMES = range(INJECTED - 600, INJECTED + 600, 10)


def write(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def add_case(folder, *, unit=1, name="data.csv", columns=("cart_cpu", "cart_latency-50", "ts-user_lat_90")):
    rows = [[time * unit, *(float(i + (time >= INJECTED)) for i in range(len(columns)))] for time in TIMES]
    write(folder / name, ["time", *columns], rows)
    (folder / "inject_time.txt").write_text(f"{INJECTED}\n")
    return folder


@pytest.fixture
def root(tmp_path):
    add_case(tmp_path / "RE1-OB" / "cart_cpu" / "1")
    return tmp_path


def only(path, **options):
    (labelled,) = load(path, **options)
    return labelled


def test_the_folder_names_the_service_and_the_fault(tmp_path):
    add_case(tmp_path / "ts-auth-service_delay" / "3")
    case, answer = only(tmp_path)
    assert (answer.components, answer.kind) == (("ts-auth-service",), "delay")
    assert case.incident.id == "ts-auth-service_delay/3"


def test_columns_are_a_component_and_its_metric_however_it_is_spelt(root):
    frame = only(root).case.telemetry.metrics
    pairs = {(frame.components[c], frame.metrics[m]) for c, m in zip(frame.component, frame.metric, strict=True)}
    assert pairs == {("cart", "cpu"), ("cart", "latency-50"), ("ts-user", "lat_90")}
    assert frame.step == 10 * SECOND


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000, 1_000_000_000])
def test_times_are_read_in_any_unit(tmp_path, unit):
    add_case(tmp_path / "cart_cpu" / "1", unit=unit)
    times = only(tmp_path).case.telemetry.metrics.times
    assert (times[0], times[-1]) == (TIMES[0] * SECOND, TIMES[-1] * SECOND)


def test_with_an_estimated_onset_the_case_only_says_when_the_alert_fired(tmp_path):
    for number in (1, 2, 10):
        add_case(tmp_path / "cart_cpu" / str(number))
    incidents = [case.incident for case, _ in load(tmp_path)]
    assert [incident.id for incident in incidents] == ["cart_cpu/1", "cart_cpu/2", "cart_cpu/10"]
    assert [(i.detected_at - INJECTED * SECOND) // MINUTE for i in incidents] == [1, 2, 3]
    assert all(i.onset is None and i.baseline.end == i.window.start < INJECTED * SECOND for i in incidents)


def test_with_a_given_onset_the_window_begins_at_the_injection(root):
    incident = only(root, onset="given").case.incident
    assert incident.onset == incident.window.start == incident.baseline.end == INJECTED * SECOND


def test_the_simple_metrics_are_preferred_to_the_raw_ones(root):
    folder = root / "RE1-OB" / "cart_cpu" / "1"
    add_case(folder, name="simple_metrics.csv", columns=("cart_mem",))
    assert only(root).case.telemetry.metrics.metrics == ("mem",)


def test_raw_metrics_mark_hosts(tmp_path):
    columns = ("cart_container-cpu-usage", "worker-1_node-cpu")
    add_case(tmp_path / "cart_cpu" / "1", name="metrics.csv", columns=columns)
    case = only(tmp_path).case
    assert case.topology.kinds == {"worker-1": "host"}


def test_missing_infinite_and_repeated_samples_are_defined(tmp_path):
    folder = add_case(tmp_path / "cart_cpu" / "1")
    header = ["time", "cart_cpu", "time.1", "nonsense"]
    rows = [[t, "", 0, 0] for t in TIMES]
    rows[1][1], rows[2][1] = "inf", "1e300"
    write(folder / "data.csv", header, [*rows, [TIMES[3], 7.0, 0, 0]])
    frame = only(tmp_path).case.telemetry.metrics
    assert frame.metrics == ("cpu",)
    assert frame.values.shape == (1, len(TIMES))
    assert frame.values[0, 3] == 7.0
    assert np.isnan(np.delete(frame.values, 3)).all()


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators_are_recognised(root, separator):
    path = root / "RE1-OB" / "cart_cpu" / "1" / "data.csv"
    path.write_text(path.read_text().replace(",", separator))
    assert only(root).case.telemetry.metrics.components == ("cart", "ts-user")


def test_logs_and_spans_of_the_multi_modal_form_are_read(root):
    folder = root / "RE1-OB" / "cart_cpu" / "1"
    nano = INJECTED * SECOND + 7
    write(
        folder / "logs.csv",
        ["time", "timestamp", "container_name", "message", "level", "req_path", "error"],
        [["x", nano, "cart", "late", "ERROR", "", ""], ["x", nano - 5, "cart", "early", "", "", ""]],
    )
    header = ["time", "traceID", "spanID", "serviceName", "methodName", "operationName", "startTimeMillis"]
    header += ["startTime", "duration", "statusCode", "parentSpanID"]
    spans = [["x", "t", "s1", "shop", "", "GET /", 0, INJECTED * 10**6 + 3, 1500, 200, ""]]
    spans += [["x", "t", "s2", "cart", "Get", "hipster.Cart/Get", 0, INJECTED * 10**6 + 4, 20, 13, "s1"]]
    write(folder / "traces.csv", header, spans)
    telemetry = only(root).case.telemetry
    logs, batch = telemetry.logs, telemetry.spans
    assert (logs.message.tolist(), logs.times.tolist(), logs.level.tolist()) == (
        ["early", "late"],
        [nano - 5, nano],
        [0, 5],
    )
    assert [batch.operations[code] for code in batch.operation] == ["GET /", "Get"]
    assert batch.start.tolist() == [INJECTED * SECOND + 3000, INJECTED * SECOND + 4000]
    assert (batch.duration.tolist(), batch.status.tolist()) == ([1_500_000, 20_000], [0, 2])
    assert (batch.parent.tolist(), batch.trace.tolist()) == (["", "s1"], ["t", "t"])


def test_nothing_of_the_label_is_in_the_case(tmp_path):
    add_case(tmp_path / "cart_strangefault" / "1")
    case = only(tmp_path).case
    assert "strangefault" not in repr(case.telemetry) + repr(case.topology)


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("data.csv", "", "table"),
        ("data.csv", "cart_cpu\n1\n", "no column time"),
        ("data.csv", "time,cpu\n1,1\n2,2\n", "no column <component>_<metric>"),
        ("data.csv", "time,cart_cpu\nnoon,1\n", "something else than times"),
        ("data.csv", "time,cart_cpu\n1,1\n2,1\n", "outside the telemetry"),
        ("data.csv", "time,cart_cpu\n1,1\n", "fewer than two samples"),
        ("inject_time.txt", "soon", "holds no time"),
        ("inject_time.txt", "nan", "holds no time"),
        ("logs.csv", "timestamp,container_name\n1,cart\n", "no column message"),
        ("traces.csv", "startTime,duration\n1,-1\n", "duration"),
    ],
)
def test_a_malformed_file_is_an_error_that_names_it(root, name, text, problem):
    (root / "RE1-OB" / "cart_cpu" / "1" / name).write_text(text)
    with pytest.raises(CaseError, match=problem) as found:
        list(load(root))
    assert "cart_cpu" in str(found.value)


def test_a_folder_without_incidents_or_of_another_name_is_an_error(tmp_path):
    with pytest.raises(CaseError, match="inject_time"):
        list(load(tmp_path))
    add_case(tmp_path / "cart" / "1")
    with pytest.raises(CaseError, match="<service>_<fault>"):
        list(load(tmp_path))
