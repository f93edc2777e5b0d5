from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rca.cases.folder import is_case_folder, read_answer, read_case, write_case
from rca.errors import CaseError, RCAError, TopologyError
from rca.formats import telemetry_to_json
from rca.health import HealthProfile
from rca.telemetry import LogBatch, MetricFrame, SpanBatch, Telemetry, texts
from rca.topology import Topology
from rca.types import MINUTE, SECOND, Alert, Answer, Case, Change, Incident, Symptom, Window, to_nanoseconds

NOON = to_nanoseconds("2026-01-31T12:00:00Z")
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def full_case() -> Case:
    telemetry = Telemetry(
        metrics=MetricFrame.from_rows(
            times=NOON + np.arange(4) * MINUTE, components=list("aabb"), metrics=["cpu"] * 4, values=np.arange(4.0)
        ),
        logs=LogBatch(
            components=("a",),
            times=np.array([NOON], np.int64),
            component=np.zeros(1, np.int32),
            level=np.array([5], np.int8),
            message=texts(["failed"]),
            trace=texts(["t"]),
            span=texts([""]),
        ),
        spans=SpanBatch.build(
            start=np.array([NOON]),
            duration=np.array([5]),
            component=["a"],
            operation=["GET"],
            trace=["t"],
            span=["1"],
            parent=[""],
            peer=["db"],
        ),
        changes=(Change(id="c", component="b", kind="change.config", name="limit", time=NOON, files=("x",)),),
        alerts=(Alert(component="a", name="Slow", time=NOON, labels={"team": "shop"}),),
    )
    incident = Incident(
        id="inc-1",
        title="a is slow",
        window=Window(start=NOON + MINUTE, end=NOON + 4 * MINUTE + 1),
        baseline=Window(start=NOON, end=NOON + MINUTE),
        detected_at=NOON + 3 * MINUTE,
        onset=NOON + 2 * MINUTE + 7,
        symptoms=(Symptom(component="a", metric="cpu", direction="up"), Symptom(component="b")),
    )
    topology = Topology.from_edges([("a", "b"), ("b", "db", 3)], kinds={"db": "database"}, hosts={"a": "n1"})
    return Case(incident=incident, telemetry=telemetry, topology=topology)


def folder_of(path: Path, **files: str) -> Path:
    path.mkdir(exist_ok=True)
    for name, content in files.items():
        (path / name.replace("__", ".")).write_text(content, encoding="utf-8")
    return path


def rows(minutes: int, step: int = 60) -> str:
    lines = [f"{NOON // SECOND + i * step},cart,cpu,{i}" for i in range(minutes * 60 // step)]
    return "\n".join(["time,component,metric,value", *lines, ""])


def test_a_case_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    case = full_case()
    path = write_case(case, tmp_path / "made" / "inc-1")
    read = read_case(path)
    assert read.incident == case.incident
    assert telemetry_to_json(read.telemetry) == telemetry_to_json(case.telemetry)
    assert read.topology is not None and case.topology is not None
    assert read.topology.components == case.topology.components
    np.testing.assert_array_equal(read.topology.weight, case.topology.weight)
    assert (read.topology.kinds, read.topology.hosts) == (case.topology.kinds, case.topology.hosts)
    assert is_case_folder(path)
    assert not (path / "answer.json").exists()


def test_a_case_without_a_baseline_stays_without_one(tmp_path: Path) -> None:
    case = full_case()
    incident = Incident(id="x", window=Window(start=NOON + MINUTE, end=NOON + 2 * MINUTE))
    read = read_case(write_case(Case(incident=incident, telemetry=case.telemetry), tmp_path / "x"))
    assert read.incident == incident
    assert read.topology is None


def test_the_answer_stands_apart_and_read_case_never_opens_it(tmp_path: Path) -> None:
    answer = Answer(components=("a", "a-0"), kind="cpu", change="none", decoys=("d",), first_failing="a")
    path = write_case(full_case(), tmp_path / "x", answer)
    assert read_answer(path) == answer
    (path / "answer.json").write_bytes(b"\xff not even JSON")
    assert read_case(path).incident.id == "inc-1"
    with pytest.raises(CaseError, match=r"answer\.json"):
        read_answer(path)


def test_a_health_profile_goes_with_its_case(tmp_path: Path) -> None:
    case = full_case()
    health = HealthProfile(windows=(Window(start=1, end=2),))
    given = Case(incident=case.incident, telemetry=case.telemetry, health=health)
    assert read_case(write_case(given, tmp_path / "x")).health == health


def test_the_same_case_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_case(full_case(), tmp_path / name, Answer(components=("a",)))
    for file in sorted((tmp_path / "one").iterdir()):
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name


def test_nothing_is_left_where_writing_fails(tmp_path: Path) -> None:
    case = full_case()
    bad = Case(
        incident=case.incident,
        telemetry=Telemetry(alerts=(Alert(component="half\ud800", name="a surrogate"),)),
    )
    with pytest.raises(RCAError, match="not Unicode"):
        write_case(bad, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_never_written_over(tmp_path: Path) -> None:
    folder_of(tmp_path / "x", notes__txt="mine")
    with pytest.raises(CaseError, match="is there already"):
        write_case(full_case(), tmp_path / "x")
    assert [file.name for file in (tmp_path / "x").iterdir()] == ["notes.txt"]


def test_a_written_folder_has_the_rights_that_mkdir_gives(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    path = write_case(full_case(), tmp_path / "x")
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert sorted(file.name for file in tmp_path.iterdir()) == ["plain", "x"]


def test_metrics_and_the_time_of_an_alert_make_a_case(tmp_path: Path) -> None:
    path = folder_of(
        tmp_path / "mine", case__json='{"detected_at": "2026-01-31T12:30:00Z"}', metrics__csv=rows(minutes=40)
    )
    incident = read_case(path).incident
    assert incident.id == "mine"
    assert incident.window == Window(start=NOON + 20 * MINUTE, end=NOON + 39 * MINUTE + 1)
    assert incident.baseline == Window(start=NOON, end=NOON + 20 * MINUTE)
    assert incident.alert_time == NOON + 30 * MINUTE
    assert (incident.onset, incident.symptoms) == (None, ())


def test_where_sampling_is_slow_the_window_begins_ten_samples_before_detection(tmp_path: Path) -> None:
    path = folder_of(
        tmp_path / "x",
        case__json='{"detected_at": "2026-01-31T14:00:00Z"}',
        metrics__csv=rows(minutes=130, step=300),
    )
    assert read_case(path).incident.window.start == NOON + 70 * MINUTE


def test_a_window_may_end_where_the_telemetry_does(tmp_path: Path) -> None:
    path = folder_of(
        tmp_path / "x", case__json='{"window": {"start": "2026-01-31T12:05:00Z"}}', metrics__csv=rows(minutes=10)
    )
    incident = read_case(path).incident
    assert incident.window == Window(start=NOON + 5 * MINUTE, end=NOON + 9 * MINUTE + 1)


def test_times_may_be_numbers_as_in_tables(tmp_path: Path) -> None:
    path = folder_of(
        tmp_path / "x", case__json=f'{{"window": {{"start": {NOON // SECOND}, "end": {NOON // 10**6 + 1}}}}}'
    )
    assert read_case(path).incident.window == Window(start=NOON, end=NOON + 1_000_000)


def test_a_topology_stands_in_case_json_or_in_a_file_and_facts_add_to_it(tmp_path: Path) -> None:
    when = '"detected_at": "2026-01-31T12:30:00Z"'
    inline = folder_of(tmp_path / "a", case__json=f'{{{when}, "topology": [["web", "cart"]]}}')
    named = folder_of(
        tmp_path / "b", case__json=f'{{{when}, "topology": "calls.csv"}}', calls__csv="caller,callee\nweb,cart\n"
    )
    found = folder_of(
        tmp_path / "c",
        case__json=f'{{{when}, "kinds": {{"db": "database"}}, "replica_of": {{"cart": "carts"}}}}',
        topology__yaml="components: {web: {depends_on: cart}}",
    )
    for path in (inline, named, found):
        topology = read_case(path).topology
        assert topology is not None
        assert topology.callees("web") == ("cart",)
    assert topology.kinds == {"db": "database"}
    assert topology.service("cart") == "carts"


def test_known_components_part_the_columns_of_a_wide_table(tmp_path: Path) -> None:
    path = folder_of(
        tmp_path / "x",
        case__json='{"detected_at": 50, "symptoms": [{"component": "cart_db"}]}',
        metrics__csv="time,cart_db_cpu\n1,2\n60,2\n",
    )
    assert read_case(path).telemetry.metrics.metrics == ("cpu",)


@pytest.mark.parametrize(
    ("description", "where", "problem"),
    [
        ("{", "", "no JSON"),
        ("[]", "", "Expected `object`"),
        ("{}", "", "neither a window nor detected_at"),
        ('{"windw": {}}', "", "unknown field `windw`"),
        ('{"window": {"start": 5, "end": 5}}', ", window", "not after its start"),
        ('{"window": {"start": 50, "end": 5}}', ", window", "not after its start"),
        ('{"window": {"end": 5}}', ".window", "missing required field `start`"),
        ('{"detected_at": "2026-01-31T12:00:00"}', ", detected_at", "no time with a zone"),
        ('{"detected_at": "9999-01-31T12:00:00Z"}', ", detected_at", "no time with a zone"),
        ('{"detected_at": 1e300}', ", detected_at", "beyond the years"),
        ('{"detected_at": ""}', ", detected_at", "is empty"),
        ('{"detected_at": true}', ".detected_at", "got `bool`"),
        (
            '{"window": {"start": 50, "end": 60}, "baseline": {"start": 40, "end": 51}}',
            ", baseline",
            "baseline and window overlap",
        ),
        ('{"window": {"start": 50, "end": 60}, "baseline": {"start": 50}}', ", baseline", "is empty"),
        ('{"window": {"start": 50, "end": 60}, "baseline": "yes"}', ", baseline", "'yes' is no baseline"),
        ('{"detected_at": 700, "symptoms": [{"component": "crat"}]}', ", symptoms[0]", "neither in the telemetry"),
        (
            '{"detected_at": 700, "symptoms": [{"component": "cart", "direction": "left"}]}',
            ".symptoms[0].direction",
            "left",
        ),
        ('{"detected_at": 700, "telemetry": {}}', "", "telemetry stands in case.json"),
        ('{"detected_at": 700, "topology": "../secret.json"}', "", "lies outside the case"),
        ('{"detected_at": 700, "topology": 5}', ", topology", "no components or edges"),
    ],
)
def test_a_malformed_description_names_place_problem_and_remedy(
    description: str, where: str, problem: str, tmp_path: Path
) -> None:
    path = folder_of(tmp_path / "x", case__json=description, metrics__csv="time,cart/cpu\n1,2\n")
    with pytest.raises((CaseError, TopologyError)) as caught:
        read_case(path)
    assert caught.value.where == f"{path / 'case.json'}{where}"
    assert problem in caught.value.problem
    assert caught.value.remedy


def test_a_symptom_that_is_misspelt_is_told_what_was_meant(tmp_path: Path) -> None:
    path = folder_of(
        tmp_path / "x",
        case__json='{"detected_at": 700, "symptoms": [{"component": "crat"}]}',
        metrics__csv="time,cart/cpu\n1,2\n",
    )
    with pytest.raises(CaseError, match=r"Did you mean cart\?"):
        read_case(path)


def test_one_form_per_table_and_one_topology(tmp_path: Path) -> None:
    when = '{"detected_at": 700, "topology": [["a", "b"]]}'
    path = folder_of(tmp_path / "x", case__json=when, metrics__csv="time,a/b\n1,2\n", metrics__json="{}")
    with pytest.raises(CaseError, match=r"several times: metrics\.csv, metrics\.json"):
        read_case(path)
    path = folder_of(tmp_path / "y", case__json=when, topology__yaml="edges: []")
    with pytest.raises(CaseError, match=r"several topologies: topology\.yaml, case\.json"):
        read_case(path)


def test_what_is_no_case_folder_is_said_with_an_example(tmp_path: Path) -> None:
    assert not is_case_folder(tmp_path)
    with pytest.raises(CaseError, match=r'is missing\. Write one, at least \{"detected_at": "2026'):
        read_case(tmp_path)
    with pytest.raises(CaseError, match="is no folder"):
        read_case(tmp_path / "nowhere")


def test_an_answer_has_to_name_a_component(tmp_path: Path) -> None:
    path = folder_of(tmp_path / "x", answer__json='{"components": []}')
    with pytest.raises(CaseError, match="no components"):
        read_answer(path)
    with pytest.raises(CaseError, match="There is no answer to this case"):
        read_answer(tmp_path)


def test_only_a_window_without_a_fault_has_an_answer_without_components(tmp_path: Path) -> None:
    path = folder_of(tmp_path / "x", answer__json='{"components": [], "kind": "none"}')
    assert read_answer(path).components == ()
    assert read_answer(path).kind == "none"


def test_an_error_in_a_table_names_its_file(tmp_path: Path) -> None:
    path = folder_of(tmp_path / "x", case__json='{"detected_at": 700}', spans__csv="start\n1\n")
    with pytest.raises(RCAError, match=r"spans\.csv"):
        read_case(path)


DESCRIPTIONS = st.one_of(
    st.binary(max_size=60),
    st.text(alphabet='[]{}:,"12', max_size=40).map(str.encode),
    st.tuples(
        st.sampled_from(["window", "detected_at", "baseline", "onset", "symptoms", "topology", "kinds"]),
        st.sampled_from(
            ['"a"', "5", "-5", "1e18", "null", "[]", "{}", '{"start": 5}', '[["a","b"]]', '{"a": "b"}', '""']
        ),
    ).map(lambda pair: f'{{"detected_at": 700, "{pair[0]}": {pair[1]}}}'.encode()),
)


@QUICK
@given(content=DESCRIPTIONS)
@example(content=b'{"detected_at": 1' + b"0" * 400 + b"}")
@example(content=b'{"detected_at": 9200000000}')
def test_any_description_gives_a_case_or_an_error_that_names_the_folder(content: bytes, tmp_path: Path) -> None:
    folder_of(tmp_path / "x", metrics__csv="time,a/cpu\n1,2\n900,3\n")
    (tmp_path / "x" / "case.json").write_bytes(content)
    try:
        read_case(tmp_path / "x")
    except RCAError as error:
        assert str(tmp_path) in str(error) or "incident" in str(error)
