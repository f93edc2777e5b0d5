"""Ray as one of joblib's backends: one Ray task per task of joblib.

Ray's own (``ray.util.joblib``) keeps a pool of actors that ask for no processor, are not replaced when
they die, and return all results at the end. Tasks are placed by free processors, tried again where their
worker or node is lost, and return one by one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from joblib.parallel import ParallelBackendBase

from rca.errors import WorkerError

# How often Ray gives a task to another worker; a cluster of cheap nodes loses some every day.
RETRIES = 3


class RayBackend(ParallelBackendBase):  # type: ignore[misc] # joblib has no types
    """Runs joblib's tasks on the Ray cluster that is connected, named by ``RAY_ADDRESS``, or started here."""

    supports_retrieve_callback = True
    default_n_jobs = -1

    def configure(self, n_jobs: int = 1, parallel: Any = None, **options: Any) -> int:
        """Connects to the cluster and gives the number of tasks under way at once."""
        import ray

        self.parallel = parallel
        self._started = not ray.is_initialized()
        if self._started:
            _connect(n_jobs)
        self._run = ray.remote(num_cpus=1, max_retries=RETRIES)(_call)
        return self.effective_n_jobs(n_jobs)

    def effective_n_jobs(self, n_jobs: int) -> int:
        """At least 2: with one, joblib would run the tasks here."""
        import ray

        if n_jobs > 0 or not ray.is_initialized():
            return max(n_jobs, 2)
        cluster: Any = ray
        return max(int(cluster.cluster_resources().get("CPU", 1)), 2)

    def submit(self, func: Callable[[], Any], callback: Callable[[Any], None] | None = None) -> Future[Any]:
        """Sends one task."""
        future: Future[Any] = self._run.remote(func).future()
        if callback is not None:
            future.add_done_callback(callback)
        return future

    # What joblib called it before 1.5.
    apply_async = submit

    def retrieve_result_callback(self, out: Future[Any]) -> Any:
        """The result of a finished task, or what it raised.

        Raises:
            WorkerError: the task lost its worker too often, or the cluster.
        """
        from ray.exceptions import RayError, RayTaskError

        try:
            return out.result()
        except RayTaskError as failed:
            raise failed.cause from failed
        except RayError as lost:
            reason = str(lost).strip().splitlines()[0]
            raise WorkerError(
                f"a task lost its workers {RETRIES + 1} times ({reason})",
                where="ray",
                remedy="They may run out of memory: look at `ray status`, and into the logs of the nodes",
            ) from lost

    def terminate(self) -> None:
        """Leaves the cluster, where it was joined for these tasks."""
        import ray

        if self._started:
            ray.shutdown()


def _call(func: Callable[[], Any]) -> Any:
    return func()


def _connect(jobs: int) -> None:
    import ray

    # Nothing about the work leaves the cluster.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = os.environ.get("RAY_ADDRESS")
    # A cluster that is there has its own processors; one that is started here gets one per job.
    own: dict[str, Any] = {} if address else {"num_cpus": jobs if jobs > 0 else None, "include_dashboard": False}
    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False, **own)
    except (ConnectionError, RuntimeError, ValueError) as bad:
        raise WorkerError(
            f"Ray cannot be reached ({str(bad).strip().splitlines()[0]})",
            where=address or "ray",
            remedy="Start a cluster with `ray start --head` and set RAY_ADDRESS, or use --backend loky",
        ) from bad
