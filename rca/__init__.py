"""Root-cause analysis: telemetry becomes events, events a causality graph, the graph ranked causes.

    import rca

    case = rca.read_case("my-incident")
    report = rca.analyze(case)
    print(report.root_causes[0].sentence)

Every score, severity and confidence lies in [0, 1]; higher is more anomalous, more to blame.
Names are imported when they are first used, so that ``import rca`` itself costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rca.cases.folder import read_case, write_case
    from rca.causality import CausalityGraph
    from rca.client import Client
    from rca.errors import RCAError
    from rca.evaluation import evaluate
    from rca.health import HealthProfile
    from rca.health.build import build_profile
    from rca.health.storage import load_profile
    from rca.pipeline import analyze
    from rca.rules import load_rules
    from rca.settings import Settings
    from rca.simulator import simulate
    from rca.telemetry import MetricFrame, Telemetry
    from rca.topology import Topology
    from rca.types import Alert, Answer, Case, Change, Event, Incident, Report, RootCause, Symptom, Window

__version__ = "0.1.0"

__all__ = [
    "Alert",
    "Answer",
    "Case",
    "CausalityGraph",
    "Change",
    "Client",
    "Event",
    "HealthProfile",
    "Incident",
    "MetricFrame",
    "RCAError",
    "Report",
    "RootCause",
    "Settings",
    "Symptom",
    "Telemetry",
    "Topology",
    "Window",
    "analyze",
    "build_profile",
    "evaluate",
    "load_profile",
    "load_rules",
    "read_case",
    "simulate",
    "write_case",
]

_HOME = {
    "CausalityGraph": "rca.causality",
    "Client": "rca.client",
    "HealthProfile": "rca.health",
    "MetricFrame": "rca.telemetry",
    "RCAError": "rca.errors",
    "Settings": "rca.settings",
    "Telemetry": "rca.telemetry",
    "Topology": "rca.topology",
    "analyze": "rca.pipeline",
    "build_profile": "rca.health.build",
    "evaluate": "rca.evaluation",
    "load_profile": "rca.health.storage",
    "load_rules": "rca.rules",
    "read_case": "rca.cases.folder",
    "simulate": "rca.simulator",
    "write_case": "rca.cases.folder",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'rca' has no attribute {name!r}")
    value = getattr(import_module(_HOME.get(name, "rca.types")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
