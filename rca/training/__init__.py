"""Training detectors on history: ``rca train`` and what it is made of."""

from __future__ import annotations

from rca.training.result import TrainingResult
from rca.training.run import Order, train

__all__ = ["Order", "TrainingResult", "train"]
