"""Prints one line per simulated incident that changes with any byte of it. Run under several hash seeds."""

from __future__ import annotations

import hashlib

import numpy as np

from rca.simulator import simulate
from rca.types import Answer, Case


def fingerprint(case: Case, answer: Answer) -> str:
    """SHA-256 over the telemetry, the topology, the incident and the answer."""
    digest = hashlib.sha256()
    telemetry = case.telemetry
    for batch in (telemetry.metrics, telemetry.logs, telemetry.spans, case.topology):
        for name in sorted(batch.__dataclass_fields__) if batch is not None else ():
            value = getattr(batch, name)
            if isinstance(value, np.ndarray) and value.dtype != object:
                digest.update(value.tobytes())
            else:
                digest.update(repr(value.tolist() if isinstance(value, np.ndarray) else value).encode())
    digest.update(repr((case.incident, telemetry.changes, telemetry.alerts, answer)).encode())
    return digest.hexdigest()


if __name__ == "__main__":
    for seed in range(3):
        print(fingerprint(*simulate(seed=seed, components=20)))
