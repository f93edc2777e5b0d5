"""Telemetry, changes and alerts of other systems: one module per wire format, and clients that ask."""
