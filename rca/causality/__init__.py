"""The causality graph: events, and which of them may have caused which.

An edge a -> b says "a may have caused b"; the topology points the other way.
"""

from __future__ import annotations

from rca.causality.graph import CausalityGraph, Link
from rca.causality.linking import SLACK, link_events

__all__ = ["SLACK", "CausalityGraph", "Link", "link_events"]
