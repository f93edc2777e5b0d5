import pytest

from rca.evaluation.fine_level import Finding, fault_kinds, fault_rank, metric_rank
from rca.types import Answer

CPU = Finding(component="cart", kind="saturation.cpu", name="container_cpu_usage")
SLOW = Finding(component="cart", kind="latency.up", name="latency_p90")
OTHER = Finding(component="shop", kind="saturation.cpu", name="cpu")


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("cpu_contention", "saturation.cpu"),
        ("memory_anomalies", "saturation.memory"),
        ("network_delay", "network.slow"),
        ("network-loss", "network.slow"),
        ("pod-kill", "pod."),
        ("exception", "error.exception"),
        ("socket", "saturation.connections"),
    ],
)
def test_words_for_faults_have_kinds(fault, kind):
    assert kind in fault_kinds(fault)


def test_an_unknown_fault_has_no_kinds():
    assert fault_kinds("gremlins") == ()


def test_the_component_and_the_type_of_fault_must_both_be_right():
    answer = Answer(components=("cart",), kind="cpu")
    assert fault_rank([OTHER, SLOW, CPU], answer) == 3
    assert fault_rank([OTHER, SLOW], answer) is None


def test_a_fault_without_kinds_is_never_named():
    assert fault_rank([CPU], Answer(components=("cart",), kind="gremlins")) is None


def test_a_metric_is_right_where_its_meaning_is():
    assert metric_rank([CPU, SLOW], Answer(components=("cart",), metric="latency")) == 2
    assert metric_rank([CPU], Answer(components=("cart",), metric="latency")) is None
