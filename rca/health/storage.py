"""Health profiles as files: one ``.npz`` of plain arrays, written whole or not at all, never pickled."""

from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from rca.errors import ProfileError, RCAError
from rca.health.edges import EdgeHealth
from rca.health.events import EventHistory
from rca.health.logs import LogHealth
from rca.health.metrics import MetricHealth
from rca.health.profile import HealthProfile
from rca.health.requests import RequestHealth
from rca.types import Window

VERSION = 1
PARTS: dict[str, Any] = {
    "metrics": MetricHealth,
    "logs": LogHealth,
    "events": EventHistory,
    "requests": RequestHealth,
    "edges": EdgeHealth,
    "own_times": EdgeHealth,
}
# A profile of 5,000 components for a month stays below this; larger files are not ours.
MOST_BYTES = 4 << 30
# What reading a damaged file raises: flipped bits may ask for passwords, unknown compressions and any size.
DAMAGE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
    MemoryError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    RCAError,
)


def save_profile(profile: HealthProfile, path: str | Path) -> None:
    """Write a profile; an existing file is replaced in one step.

    Raises:
        ProfileError: the file cannot be written.
    """
    path = Path(path)
    parts = [name for name in PARTS if getattr(profile, name) is not None]
    head = {
        "version": VERSION,
        "small": profile.small,
        "windows": [[w.start, w.end] for w in profile.windows],
        "parts": parts,
    }
    arrays: dict[str, npt.NDArray[Any]] = {"profile": np.frombuffer(json.dumps(head).encode(), np.uint8)}
    for name in parts:
        arrays |= {f"{name}.{key}": value for key, value in getattr(profile, name).to_arrays().items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
            _write_arrays(file, arrays)
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(path)
    except OSError as error:
        raise ProfileError(
            f"cannot be written ({error})", where=path, remedy="Choose a folder you may write"
        ) from error


def _write_arrays(file: IO[bytes], arrays: dict[str, npt.NDArray[Any]]) -> None:
    """What ``numpy.savez_compressed`` writes, but never a pickle."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


def load_profile(path: str | Path) -> HealthProfile:
    """Read a profile.

    Raises:
        ProfileError: there is no such file, or it is no profile, damaged or of another version.
    """
    path = Path(path)
    remedy = "Build it again with `rca profile build`"
    try:
        arrays = _read_arrays(path)
        head = json.loads(arrays.pop("profile").tobytes())
        if head["version"] != VERSION:
            raise ProfileError(f"has version {head['version']} where {VERSION} is read")
        parts = {name: _part(name, arrays) for name in head["parts"]}
        windows = tuple(Window(start=int(a), end=int(b)) for a, b in head["windows"])
        return HealthProfile(windows=windows, small=bool(head["small"]), **parts)
    except FileNotFoundError as error:
        raise ProfileError("does not exist", where=path, remedy=remedy) from error
    except DAMAGE as error:
        raise ProfileError(f"is no health profile, or damaged ({error})", where=path, remedy=remedy) from error


def _read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a file, each read whole so that its checksum is compared; pickles are refused."""
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > MOST_BYTES:
            raise ProfileError(f"is larger than {MOST_BYTES >> 30} GiB")
        return {
            name.removesuffix(".npy"): np.lib.format.read_array(io.BytesIO(archive.read(name)), allow_pickle=False)
            for name in archive.namelist()
        }


def _part(name: str, arrays: dict[str, npt.NDArray[Any]]) -> Any:
    own = {key.removeprefix(f"{name}."): value for key, value in arrays.items() if key.startswith(f"{name}.")}
    return PARTS[name].from_arrays(own)
