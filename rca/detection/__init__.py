"""How well detectors find labelled anomalies, beside simple ones, without point adjustment."""

from __future__ import annotations

from rca.detection.entity import Entity
from rca.detection.evaluation import DetectionEvaluation, evaluate_detection
from rca.detection.sets import SETS, read_set

__all__ = ["SETS", "DetectionEvaluation", "Entity", "evaluate_detection", "read_set"]
