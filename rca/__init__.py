"""Root-cause analysis: telemetry becomes events, events a causality graph, the graph ranked causes.

Every score, severity and confidence lies in [0, 1]; higher is more anomalous, more to blame.
"""

from __future__ import annotations

__version__ = "0.1.0"
