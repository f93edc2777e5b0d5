"""Detectors: how unlike its healthy self each series looks, behind one protocol."""

from __future__ import annotations

from rca.detectors.protocol import Detector
from rca.detectors.robust import RobustDetector

__all__ = ["Detector", "RobustDetector"]
