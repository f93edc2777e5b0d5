"""Ranking: evidence on the component itself, and a walk over the causality graph, give the root causes."""

from __future__ import annotations

from rca.ranking.causes import Belief, Ranking, rank_causes

__all__ = ["Belief", "Ranking", "rank_causes"]
