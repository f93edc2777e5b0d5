"""Which change did it, or none: changes judged by place, time and what their diff can do."""

from rca.suspects.operational import find_operational
from rca.suspects.posterior import Suspicion, rank_suspects

__all__ = ["Suspicion", "find_operational", "rank_suspects"]
