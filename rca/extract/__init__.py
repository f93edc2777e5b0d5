"""Telemetry becomes events: one module per source of evidence, all with one signature."""
