"""Candidate onsets: where evidence may begin, if nobody knows when the failure did."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rca.sampling import series_step
from rca.settings import Settings
from rca.types import SECOND, Case

Array = npt.NDArray[Any]


def candidate_onsets(case: Case, settings: Settings) -> tuple[Array, Array]:
    """Candidate onsets and where the evidence of each ends: int64 ns, shape (candidates,).

    A known onset is the only candidate. Otherwise they step back from the alert: true onsets are
    found by scoring all of them and averaging, not by picking one.
    """
    incident = case.incident
    step = max(int(settings.onset_step * SECOND), series_step(case.telemetry.metrics) // 2)
    ratio = step / (settings.onset_step * SECOND)
    length = int(settings.evidence * ratio * SECOND)
    if incident.onset is not None:
        onsets = np.array([incident.onset], np.int64)
        return onsets, np.maximum(np.minimum(onsets + length, incident.window.end), onsets + 1)
    alert = incident.alert_time
    onsets = alert - step * np.arange(settings.candidates - 1, -1, -1, dtype=np.int64)
    latest = min(incident.window.end, alert + int(settings.after_alert * ratio * SECOND))
    return onsets, np.maximum(np.minimum(onsets + length, latest), onsets + 1)
