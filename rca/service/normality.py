"""What is normal for the service's analyses: a trained detector, and a health profile that is given or built.

With ``profile: auto`` each hour of ingested telemetry that no incident touches becomes a small profile, and the latest
``profile_hours`` of them together are what analyses compare with. The hours lie beside the telemetry, so that replicas
share them and a restart finds them.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rca.errors import ModelError, ProfileError, RCAError
from rca.service.logs import LOGGER
from rca.service.workers import WorkerPool
from rca.types import SECOND, Window

if TYPE_CHECKING:
    from rca.service.configuration import Configuration
    from rca.stores.files import Files
    from rca.stores.protocol import Store
    from rca.stores.records import IncidentRecord
    from rca.stores.windows import WindowStore

AUTO = "auto"
HOUR = 3_600 * SECOND
# Fewer hours say less than an incident's own baseline, which is an hour by default.
LEAST_HOURS = 3
# An hour is taken when this has passed since its end: an incident is known some minutes after it began.
_LATER = HOUR
# An incident whose end nobody told does not last for ever.
_LONGEST = 24 * HOUR
_PAUSE_SECONDS = 300.0
_POSTED = "api"  # incidents that somebody posted: nobody says that they end
_MOST_INCIDENTS = 10_000


class Normality:
    """What analyses are told of health."""

    def __init__(self, configuration: Configuration, store: Store, files: Files, windows: WindowStore) -> None:
        self._configuration = configuration
        self._store = store
        self._files = files
        self._windows = windows
        self._folder = tempfile.TemporaryDirectory(prefix="rca-profile-")
        self._path = "" if configuration.profile == AUTO else configuration.profile
        self._merged: list[str] = []
        self._passed: set[int] = set()

    def known(self) -> dict[str, Any]:
        """What an analysis is told: the detector's name and the profile's path, as far as there are any."""
        told = {"model": self._configuration.model, "profile": self._path}
        return {name: value for name, value in told.items() if value}

    def check(self) -> None:
        """Says in the log what is configured and cannot be used; each report says so as well. Blocks."""
        from rca.health.storage import load_profile
        from rca.registry import load_model

        try:
            if self._configuration.model:
                load_model(self._configuration.model)
            if self._path:
                load_profile(self._path)
        except (ModelError, ProfileError) as error:
            LOGGER.warning("analyses go without what is configured", extra={"problem": str(error)})

    def close(self) -> None:
        """Deletes the merged profile; the hours stay."""
        self._folder.cleanup()

    async def run(self) -> None:
        """Builds profiles, until it is cancelled; ends at once where none are to be built."""
        while self._configuration.profile == AUTO:
            try:
                await self.renew(time.time_ns())
            except (RCAError, OSError) as error:
                LOGGER.warning("the health profile was not renewed", extra={"problem": str(error)})
            await asyncio.sleep(_PAUSE_SECONDS)

    async def renew(self, now: int) -> None:
        """Builds the hours that are due and puts the latest together, in a process of its own.

        Raises:
            RCAError: the store is away, or a profile is damaged.
        """
        there = await asyncio.to_thread(self._there)
        due = [hour for hour in self._hours(now) if _name(hour) not in there and hour not in self._passed]
        clear = await asyncio.to_thread(lambda: [hour for hour in due if self._is_clear(hour, now)])
        self._passed = (self._passed | {*due} - {*clear}) & {*self._hours(now)}
        latest = there[-self._configuration.profile_hours :]
        if not clear and latest == self._merged:
            return
        pool = WorkerPool(1, memory=self._configuration.worker_memory << 20)
        await pool.start()
        try:
            for hour in clear:
                await self._build(pool, hour)
            await self._merge(pool)
        finally:
            await pool.close()

    async def _build(self, pool: WorkerPool, hour: int) -> None:
        window = Window(start=hour * HOUR, end=(hour + 1) * HOUR)
        self._passed.add(hour)  # whatever becomes of it: once is enough
        try:
            files = await asyncio.to_thread(self._windows.files_of, window)
            parameters = {"start": window.start, "end": window.end, "signals": [signal for signal, _ in files]}
            seconds = self._configuration.analysis_seconds
            answer = await pool.call("profile_hour", parameters, [content for _, content in files], seconds=seconds)
        except RCAError as error:
            LOGGER.warning("an hour is no part of the health profile", extra={"problem": str(error)})
            return
        if answer.blobs:
            await asyncio.to_thread(self._files.write, _name(hour), answer.blobs[0])

    async def _merge(self, pool: WorkerPool) -> None:
        there = await asyncio.to_thread(self._there)
        latest = there[-self._configuration.profile_hours :]
        await asyncio.to_thread(self._files.delete, there[: -self._configuration.profile_hours])
        if len(latest) >= LEAST_HOURS:
            parts = await asyncio.to_thread(lambda: [self._files.read(name) for name in latest])
            answer = await pool.call("merge_profiles", {}, parts, seconds=self._configuration.analysis_seconds)
            path = Path(self._folder.name) / f"{hashlib.sha256(answer.blobs[0]).hexdigest()[:32]}.npz"
            await asyncio.to_thread(path.write_bytes, answer.blobs[0])
            for older in Path(self._folder.name).glob("*.npz"):
                if str(older) not in (self._path, str(path)):  # an analysis may still read the one before
                    older.unlink()
            self._path = str(path)
            LOGGER.info("the health profile was renewed", extra={"hours": len(latest)})
        self._merged = latest

    def _there(self) -> list[str]:
        """The hours that were built, oldest first."""
        return sorted(name for name, _ in self._files.names() if name.startswith("profiles/"))

    def _hours(self, now: int) -> Sequence[int]:
        last = (now - _LATER) // HOUR  # the first that is not over long enough
        return range(last - self._configuration.profile_hours, last)

    def _is_clear(self, hour: int, now: int) -> bool:
        start, end = hour * HOUR, (hour + 1) * HOUR
        known = self._store.incidents(since=start - _LONGEST, limit=_MOST_INCIDENTS)
        return not any(one.start < end and _until(one, now) > start for one in known if one.verdict != "healthy")


def _until(incident: IncidentRecord, now: int) -> int:
    """When an incident was over."""
    if incident.source == _POSTED:
        return incident.end
    last = max(incident.end, incident.updated)
    return min(now, last + _LONGEST) if incident.state == "open" else last


def _name(hour: int) -> str:
    return f"profiles/{hour:08d}.npz"
