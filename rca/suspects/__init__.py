"""Which change did it, or none: changes judged by place, time and what their diff can do."""

from rca.suspects.operational import find_operational
from rca.suspects.posterior import rank_suspects

__all__ = ["find_operational", "rank_suspects"]
