"""A simulated shop: seeded incidents with telemetry, topology and changes, and their answers apart.

A world (who calls whom) has weather (traffic and noise) and effects (disturbances and faults); its state
follows from them, and telemetry is what monitoring would have measured of that state.
"""

from __future__ import annotations

from rca.simulator.incident import play, simulate, simulate_history, simulate_many
from rca.simulator.scenario import FAULTS, NO_FAULT, Scenario

__all__ = ["FAULTS", "NO_FAULT", "Scenario", "play", "simulate", "simulate_history", "simulate_many"]
