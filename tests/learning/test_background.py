from __future__ import annotations

import numpy as np
from scipy import sparse

from rca.learning.background import Background
from rca.learning.confirmed import Confirmed
from rca.learning.softmax import Design, Labels, fit_softmax


def test_an_incident_never_counts_in_its_own_background(confirmed: list[Confirmed]) -> None:
    one, others = confirmed[0], confirmed[1:]
    everyone = Background.count((each.description, each.causes) for each in confirmed)
    rest = Background.count((each.description, each.causes) for each in others)
    with_own = everyone.features(one.description, one.causes)
    without = rest.features(one.description)
    for a, b in zip(with_own, without, strict=True):
        assert a.keys() == b.keys()
        assert all(np.isclose(a[key], b[key]) for key in a)


def test_what_a_component_often_shows_without_being_the_cause_is_less_unusual(confirmed: list[Confirmed]) -> None:
    background = Background.count((each.description, each.causes) for each in confirmed)
    for one in confirmed:
        cause = min(one.causes)
        if len(one.description.tokens[cause]) == 3:  # the cause alone, not the bystander as well
            rows = background.features(one.description, one.causes)
            of_cause = rows[cause]["unusual2", "alert.firing up pool_wait"]
            of_bystander = max(row.get(("unusual2", "alert.firing up disk_io"), 0.0) for row in rows)
            assert of_cause > of_bystander
            return
    raise AssertionError("no incident of that form")


def toy(types: list[int]) -> tuple[Design, Labels]:
    """Four incidents of two candidates, of which the first shows feature 0 and is the cause."""
    features = sparse.csr_array(np.tile(np.eye(2), (4, 1)))
    design = Design(
        features=features,
        context=sparse.csr_array(np.ones((4, 1))),
        starts=np.arange(0, 9, 2),
        offset=np.zeros(8),
    )
    causes = np.tile([True, False], 4)
    return design, Labels(causes=causes, types=np.array(types), weight=np.ones(4))


def test_the_softmax_finds_what_tells_the_cause() -> None:
    design, labels = toy([0, 0, 1, 1])
    model = fit_softmax(design, labels, 2, penalty=0.1)
    joint = model.joint(design)
    assert np.allclose(np.add.reduceat(joint.sum(axis=1), design.starts[:-1]), 1.0)
    assert (joint.sum(axis=1)[::2] > 0.9).all()


def test_labels_without_a_type_teach_the_component_alone() -> None:
    design, labels = toy([-1, -1, -1, -1])
    joint = fit_softmax(design, labels, 1, penalty=0.1).joint(design)
    assert (joint.sum(axis=1)[::2] > 0.9).all()


def test_a_label_of_no_weight_teaches_nothing() -> None:
    design, labels = toy([0, 0, 0, 0])
    silent = Labels(causes=labels.causes, types=labels.types, weight=np.zeros(4))
    model = fit_softmax(design, silent, 1, penalty=1.0)
    assert np.allclose(model.common, 0.0)
