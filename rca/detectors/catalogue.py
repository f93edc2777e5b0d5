"""Detectors by name; a class is imported when it is asked for, since some of them need much to learn."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from rca.detectors.protocol import Detector, State
from rca.errors import DetectorError

# Name -> (module, class).
CLASSES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "robust": ("rca.detectors.robust", "RobustDetector"),
        "gaussian": ("rca.detectors.gaussian", "GaussianDetector"),
        "pca": ("rca.detectors.pca", "PCADetector"),
        "k-means": ("rca.detectors.k_means", "KMeansDetector"),
        "mlp": ("rca.detectors.mlp", "MLPDetector"),
        "gru": ("rca.detectors.gru", "GRUDetector"),
        "convolution": ("rca.detectors.convolution", "ConvolutionDetector"),
        "ensemble": ("rca.detectors.ensemble", "EnsembleDetector"),
        "joined": ("rca.detectors.joined", "JoinedDetector"),
    }
)


def find_detector(name: str) -> type[Detector]:
    """The class of a detector.

    Raises:
        DetectorError: there is none of this name.
    """
    if name not in CLASSES:
        raise DetectorError("no detector has this name", where=name, remedy=f"Choose one of {', '.join(CLASSES)}")
    module, cls = CLASSES[name]
    found: type[Detector] = getattr(import_module(module), cls)
    return found


def restore(state: State) -> Detector:
    """A detector of whatever kind the state says.

    Raises:
        DetectorError: the state names no detector, or does not fit it.
    """
    name = state.config.get("detector")
    if not isinstance(name, str):
        problem = "the model does not say what detector it is of"
        raise DetectorError(
            problem, where="detector", remedy="Train the model again, or roll back to an earlier version"
        )
    return find_detector(name).from_state(state)
