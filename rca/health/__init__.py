"""Health profiles: what each component does when it is well."""

from __future__ import annotations

from rca.health.profile import HealthProfile

__all__ = ["HealthProfile"]
