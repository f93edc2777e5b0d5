"""Tasks side by side: on this machine with loky, on a cluster with Ray, in this process where one job is enough.

The same function gets the same arguments wherever it runs, with one thread for linear algebra, so
that results do not depend on where that is. A task is worth sending when it takes a tenth of a second
or more; send it the place of its data rather than the data where that lies in files.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import Any, Literal, TypeVar

from rca.errors import WorkerError

Backend = Literal["loky", "ray"]
BACKENDS: tuple[Backend, ...] = ("loky", "ray")
# How often a task that lost its worker is given to another.
MOST_LOST = 3
# With one job, joblib would run the task in this process, which the task might kill.
ALONE = 2

T = TypeVar("T")
R = TypeVar("R")


def run_tasks(
    work: Callable[[T], R], tasks: Iterable[T], *, jobs: int | None = None, backend: Backend = "loky"
) -> Iterator[tuple[int, R]]:
    """The results of ``work`` on each task with the task's number, as they come.

    A task whose worker dies is given to another one.

    Args:
        work: a function of a module, or a partial of one.
        tasks: read as workers become free.
        jobs: tasks under way at once; where None 1 with loky, the cluster's processors with Ray.
        backend: loky starts processes here. Ray uses the cluster of ``ray.init`` or ``RAY_ADDRESS``,
            else starts one here.

    Raises:
        WorkerError: workers die again and again, or Ray is missing or cannot be reached.
    """
    check_backend(backend, jobs)
    if backend == "loky" and jobs in (None, 1):
        for number, task in enumerate(tasks):
            yield _numbered(work, number, task)
        return
    waiting: dict[int, T] = {}
    coming = _remember(enumerate(tasks), waiting)
    while True:
        try:
            for number, result in _parallel(work, coming, jobs, backend):
                del waiting[number]
                yield number, result
        except BrokenExecutor:
            # One worker takes the others with it. Each task that was under way is given to workers of
            # its own, so that none suffers from another again.
            for number in list(waiting):
                yield number, _alone(work, number, waiting.pop(number), backend)
        else:
            return


def _alone(work: Callable[[T], R], number: int, task: T, backend: Backend) -> R:
    lost: BrokenExecutor | None = None
    for _ in range(MOST_LOST):
        try:
            return next(_parallel(work, iter([(number, task)]), ALONE, backend))[1]
        except BrokenExecutor as bad:
            lost = bad
    raise WorkerError(
        f"task {number + 1} lost its worker {MOST_LOST + 1} times",
        where=backend,
        remedy="Workers may run out of memory: use fewer jobs, or look into the system's log",
    ) from lost


def check_backend(backend: str, jobs: int | None) -> None:
    """Whether there are such workers.

    Raises:
        WorkerError: the backend is unknown or not installed, or the number of jobs is below 1.
    """
    if backend not in BACKENDS:
        raise WorkerError(f"{backend!r} is no backend", where="--backend", remedy=f"Use {' or '.join(BACKENDS)}")
    if jobs is not None and jobs < 1:
        raise WorkerError(f"the number of jobs is {jobs}", where="--jobs", remedy="Give at least 1")
    if backend == "ray":
        try:
            import ray  # noqa: F401 - asked for only to know whether it is there
        except ImportError as missing:
            raise WorkerError(
                "Ray is not installed", where="--backend", remedy="pip install 'rca-engine[ray]', or use loky"
            ) from missing


def _remember(tasks: Iterable[tuple[int, T]], waiting: dict[int, T]) -> Iterator[tuple[int, T]]:
    for number, task in tasks:
        waiting[number] = task
        yield number, task


def _parallel(
    work: Callable[[T], R], tasks: Iterator[tuple[int, T]], jobs: int | None, backend: Backend
) -> Iterator[tuple[int, R]]:
    from joblib import Parallel, delayed

    # loky renews workers whose memory has grown, which loses nothing.
    warnings.filterwarnings("ignore", message="A worker stopped while some jobs", category=UserWarning)
    engine: Any = backend
    if backend == "ray":
        from rca.ray_backend import RayBackend

        engine = RayBackend()
    parallel = Parallel(n_jobs=jobs or -1, backend=engine, batch_size=1, return_as="generator_unordered")
    results: Iterator[tuple[int, R]] = parallel(delayed(_numbered)(work, number, task) for number, task in tasks)
    return results


def _numbered(work: Callable[[T], R], number: int, task: T) -> tuple[int, R]:
    with one_thread():
        return number, work(task)


def one_thread() -> AbstractContextManager[Any]:
    """Linear algebra by one thread: sums in another order are other sums."""
    try:
        threads: Any = import_module("threadpoolctl")
    except ImportError:  # comes with scikit-learn, without which there is little linear algebra
        return nullcontext()
    limits: AbstractContextManager[Any] = threads.threadpool_limits(limits=1)
    return limits
