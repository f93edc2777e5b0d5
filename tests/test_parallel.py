"""Tasks by loky and in this process: all results, in whatever order, also where workers die."""

from __future__ import annotations

import os

import pytest

from rca.errors import TelemetryError, WorkerError
from rca.parallel import run_tasks

# Tasks are functions within tests: those are sent to workers as a whole, where the test's file is unknown.


@pytest.mark.parametrize("jobs", [None, 1, 2])
def test_every_task_gives_its_result_with_its_number(jobs: int | None) -> None:
    def square(number: int) -> int:
        return number * number

    assert sorted(run_tasks(square, range(7), jobs=jobs)) == [(i, i * i) for i in range(7)]


def test_one_job_reads_tasks_as_they_are_asked_for() -> None:
    read = []

    def tasks():
        for number in range(3):
            read.append(number)
            yield number

    results = run_tasks(str, tasks())
    assert next(results) == (0, "0")
    assert read == [0]


def test_a_task_whose_worker_dies_is_given_to_another(tmp_path) -> None:
    def die_once(number: int) -> int:
        import os
        import signal

        if number == 2 and not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return -number

    assert sorted(run_tasks(die_once, range(6), jobs=2)) == [(i, -i) for i in range(6)]
    assert (tmp_path / "died").exists()


def test_a_task_that_always_kills_its_worker_is_an_error_that_names_it() -> None:
    parent = os.getpid()

    def die(number: int) -> int:
        import os
        import signal

        if number == 1 and os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    with pytest.raises(WorkerError, match="task 2 lost its worker") as caught:
        list(run_tasks(die, range(4), jobs=2))
    assert caught.value.remedy


def test_what_a_task_raises_arrives_whole() -> None:
    def fail(number: int) -> int:
        from rca.errors import TelemetryError

        raise TelemetryError("is broken", where=f"file {number}", remedy="Mend it")

    with pytest.raises(TelemetryError) as caught:
        list(run_tasks(fail, range(2), jobs=2))
    assert (caught.value.problem, caught.value.remedy) == ("is broken", "Mend it")


@pytest.mark.parametrize(("backend", "jobs", "problem"), [("dask", 1, "no backend"), ("loky", 0, "jobs is 0")])
def test_workers_that_cannot_be_are_errors(backend, jobs, problem) -> None:
    with pytest.raises(WorkerError, match=problem) as caught:
        list(run_tasks(str, range(2), jobs=jobs, backend=backend))
    assert caught.value.remedy


def test_without_ray_the_error_says_how_to_get_it(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(WorkerError, match="not installed") as caught:
        list(run_tasks(str, range(2), backend="ray"))
    assert "rca-engine[ray]" in caught.value.remedy
