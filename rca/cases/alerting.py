"""When the alert fires in a data set that only tells when the fault was injected."""

from __future__ import annotations

from rca.types import MINUTE

# Rules of Prometheus and of the cloud providers wait one to three evaluation periods of a minute.
DELAYS = (1 * MINUTE, 2 * MINUTE, 3 * MINUTE)


def alert_delay(index: int) -> int:
    """Nanoseconds from the injection of a fault to its alert: 1, 2 and 3 minutes dealt in turn.

    Args:
        index: position of the case in the sorted order of its set, from 0.
    """
    return DELAYS[index % len(DELAYS)]
