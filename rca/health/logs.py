"""Healthy logs: how often each component writes each template."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LogHealth:
    """Lines per template, component and block of time."""
