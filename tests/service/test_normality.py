"""Analyses are told what is normal: a trained detector, and a profile that is given or made of healthy hours."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import rca
from rca.cases.folder import read_case
from rca.health.build import build_profile
from rca.health.storage import load_profile, save_profile
from rca.pipeline import analyze
from rca.resources import bundled
from rca.service.configuration import Configuration
from rca.service.frames import Answer
from rca.service.normal import with_normal
from rca.service.normality import HOUR, Normality
from rca.service.operations import OPERATIONS
from rca.sources.received import Received
from rca.sources.samples import SampleCollector, Series
from rca.stores import open_store
from rca.stores.files import FolderFiles
from rca.stores.records import IncidentRecord, Job
from rca.stores.windows import WindowStore
from rca.types import MINUTE, Case

FIRST = 500_000  # the hour since 1970 in which telemetry begins


@pytest.fixture(scope="module")
def case() -> Case:
    return read_case(bundled("datasets", "demo-shop/02-memory-leak"))


class InThisProcess:
    """A pool that answers here: processes have tests of their own."""

    def __init__(self, count: int, *, memory: int) -> None:
        assert count == 1

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def call(self, name: str, parameters: dict[str, Any], blobs: list[bytes], *, seconds: float) -> Answer:
        return OPERATIONS[name](parameters, blobs, lambda _: None)


@pytest.fixture
def normality(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Normality]:
    monkeypatch.setattr("rca.service.normality.WorkerPool", InThisProcess)
    store, files = open_store(f"sqlite:{tmp_path / 'rca.db'}"), FolderFiles(tmp_path)
    windows = WindowStore(store, files)
    made = Normality(Configuration(data=str(tmp_path), profile="auto", profile_hours=4), store, files, windows)
    made.store, made.windows = store, windows  # type: ignore[attr-defined] # for the tests
    yield made
    made.close()
    windows.close()
    store.close()


def push(normality: Any, hours: range) -> None:
    for hour in hours:
        samples = SampleCollector()
        code = samples.code(Series(component="cart", metric="cpu"))
        for minute in range(60):
            samples.add(code, hour * HOUR + minute * MINUTE, 0.5 + 0.01 * (minute % 7))
        normality.windows.append(Received(samples=samples.batch()), f"hour {hour}").result()


def file_incident(normality: Any, start: int, end: int, **facts: Any) -> None:
    plain = {"id": "i1", "created": start, "updated": end, "start": start, "end": end, "source": "api"}
    job = Job(id="j1", kind="analyse", incident="i1", state="queued", attempt=0, created=start)
    normality.store.file_incident(IncidentRecord(**plain | facts), job).result()


def hours_of(normality: Normality) -> list[int]:
    windows = load_profile(normality.known()["profile"]).windows
    return sorted({each.start // HOUR - FIRST for each in windows})


def test_hours_that_no_incident_touches_make_the_profile_and_the_latest_of_them_stay(normality: Any) -> None:
    push(normality, range(FIRST, FIRST + 8))
    file_incident(normality, (FIRST + 1) * HOUR + MINUTE, (FIRST + 1) * HOUR + 2 * MINUTE)
    assert normality.known() == {}
    asyncio.run(normality.renew((FIRST + 4) * HOUR + 59 * MINUTE))
    assert normality.known() == {}  # two hours are fewer than a baseline is worth
    asyncio.run(normality.renew((FIRST + 5) * HOUR + MINUTE))
    assert hours_of(normality) == [0, 2, 3]
    before = normality.known()
    asyncio.run(normality.renew((FIRST + 5) * HOUR + 6 * MINUTE))
    assert normality.known() == before
    asyncio.run(normality.renew((FIRST + 8) * HOUR + MINUTE))
    assert hours_of(normality) == [3, 4, 5, 6]


def test_an_alert_that_nobody_ended_keeps_its_hours_out_for_a_day(normality: Any) -> None:
    push(normality, range(FIRST, FIRST + 30))
    start = FIRST * HOUR + 59 * MINUTE
    file_incident(normality, start, start + MINUTE, source="alertmanager")
    asyncio.run(normality.renew((FIRST + 6) * HOUR))
    assert normality.known() == {}
    asyncio.run(normality.renew((FIRST + 30) * HOUR))
    assert hours_of(normality) == [25, 26, 27, 28]


def test_a_given_profile_takes_the_place_of_the_small_one_with_the_baseline_in_it(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "shop.npz"
    assert case.incident.baseline is not None
    save_profile(build_profile(case.telemetry.slice(case.incident.baseline)), path)
    told, unused = with_normal(replace(case, health=None), {"profile": str(path)})
    assert unused == ()
    assert told.health is not None
    small = "the incident's own baseline made a small one"
    assert any(small in warning for warning in analyze(replace(case, health=None)).warnings)
    report = analyze(told)
    assert not any(small in warning for warning in report.warnings)
    assert report.root_causes[0].component == analyze(replace(case, health=None)).root_causes[0].component


def test_what_is_damaged_or_gone_costs_itself_and_is_said(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "shop.npz"
    path.write_bytes(b"no profile")
    for missing in (path, tmp_path / "gone.npz"):
        told, unused = with_normal(case, {"profile": str(missing)})
        assert told is case
        assert "the health profile was not used" in unused[0]
    told, _ = with_normal(replace(case, model=""), {"model": "nowhere"})
    report = analyze(told)
    assert any("the trained detector 'nowhere' was not used" in each for each in report.degraded)


def test_a_window_that_names_its_own_detector_keeps_it(case: Case) -> None:
    told, _ = with_normal(replace(case, model="own"), {"model": "configured"})
    assert told.model == "own"
    told, _ = with_normal(replace(case, model=""), {"model": "configured"})
    assert told.model == "configured"


def test_the_service_analyses_with_the_configured_detector_and_says_that_it_is_missing(
    run_service: Any, case: Case
) -> None:
    running = run_service(model="nowhere", profile="/nowhere/shop.npz")
    with rca.Client(running.url, running.configuration.admin_token) as client:
        report = client.analyze(replace(case, model=""))
    assert any("'nowhere' was not used" in each for each in report["degraded"])
    assert any("the health profile was not used" in each for each in report["degraded"])
