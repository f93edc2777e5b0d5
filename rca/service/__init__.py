"""The service: windows and live telemetry in, ranked causes out. Needs ``pip install 'rca-engine[service]'``."""

from __future__ import annotations
