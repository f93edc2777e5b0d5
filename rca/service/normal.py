"""What a worker knows of health: profiles of hours and of many of them, and an incident with what is normal for it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache, reduce
from pathlib import Path
from typing import Any

from rca.errors import ProfileError
from rca.health import HealthProfile
from rca.health.build import build_profile
from rca.health.storage import load_profile, save_profile
from rca.service.frames import Answer
from rca.stores.tables import unpack_all
from rca.types import Case, Window

Progress = Callable[[str], None]
_NAME = "profile.npz"


def profile_hour(parameters: dict[str, Any], blobs: list[bytes], progress: Progress) -> Answer:
    """The health profile of what was ingested within a window; nothing where that is nothing."""
    window = Window(start=parameters["start"], end=parameters["end"])
    received = unpack_all(list(zip(parameters["signals"], blobs, strict=True)))
    profile = build_profile(received.telemetry(window=window).slice(window))
    return Answer("result", {}, [_pack(profile)] if profile.windows else [])


def merge_profiles(parameters: dict[str, Any], blobs: list[bytes], progress: Progress) -> Answer:
    """One profile of several.

    Raises:
        ProfileError: one of them is damaged.
    """
    return Answer("result", {}, [_pack(reduce(HealthProfile.merge, map(_unpack, blobs)))])


def with_normal(case: Case, parameters: Mapping[str, Any]) -> tuple[Case, tuple[str, ...]]:
    """The case with the configured detector and health profile, and what could not be used.

    The incident's own baseline is part of what is normal: it knows what is newer than the profile.
    """
    if (model := str(parameters.get("model", ""))) and not case.model:
        case = replace(case, model=model)
    path = str(parameters.get("profile", ""))
    if not path or case.health is not None:
        return case, ()
    try:
        profile = _load(path, Path(path).stat().st_mtime_ns)
    except (ProfileError, OSError) as bad:
        return case, (f"the health profile was not used, the incident's own baseline answered: {bad}",)
    if (baseline := case.incident.baseline) is not None:
        profile = profile.merge(build_profile(case.telemetry.slice(baseline)))
    return replace(case, health=profile), ()


@lru_cache(maxsize=1)
def _load(path: str, written: int) -> HealthProfile:
    return load_profile(path)


def _pack(profile: HealthProfile) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / _NAME
        save_profile(profile, path)
        return path.read_bytes()


def _unpack(content: bytes) -> HealthProfile:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / _NAME
        path.write_bytes(content)
        return load_profile(path)
