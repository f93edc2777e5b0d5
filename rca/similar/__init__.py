"""Similar past incidents: what was confirmed of the nearest ones, what ended them, and what that says of the next."""

from __future__ import annotations

from rca.similar.kinds import KindModel, learn_kinds
from rca.similar.portrait import Portrait, portray
from rca.similar.precedents import Precedent, Precedents

__all__ = ["KindModel", "Portrait", "Precedent", "Precedents", "learn_kinds", "portray"]
