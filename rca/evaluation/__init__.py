"""Evaluation: how often the true cause is ranked first, beside published baselines, with intervals."""

from __future__ import annotations

from rca.evaluation.results import CaseResult, Evaluation, MethodResult
from rca.evaluation.runner import evaluate

__all__ = ["CaseResult", "Evaluation", "MethodResult", "evaluate"]
