"""Worker processes: what takes long, or may take too much memory, runs there and not in the event loop.

Each is a Python process with its address space limited, loaded before it is needed, and asked one
thing at a time over its standard input and output. One that dies, takes too long or is no longer
wanted is killed and replaced; its caller hears of it and nobody else.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from rca.errors import InputError, OverloadedError, RCAError, SettingsError, SourceError, TelemetryError
from rca.service.frames import MAX_FRAME, SIZE, SMALLER, Answer, Call, encode, read_answer

START_SECONDS = 120.0  # loading the engine takes 3 s; on a machine that is busy, much longer
_TOLD = ("RCA_HOME",)  # where trained detectors are; the others configure the service, and some are secret
_KINDS: dict[str, type[RCAError]] = {
    kind.__name__: kind for kind in (InputError, RCAError, SettingsError, SourceError, TelemetryError)
}


class WorkerDiedError(RCAError):
    """A worker process died while it worked: of too little memory, or of a mistake in a library."""


class TooLongError(RCAError):
    """A piece of work took longer than it may."""


class WorkerPool:
    """A fixed number of worker processes.

    Args:
        count: how many.
        memory: bytes of address space of each.
        most_waiting: calls that may wait for a worker; more are refused.
        analysing: whether they analyse, which each rehearses before it is ready.
    """

    def __init__(self, count: int, *, memory: int, most_waiting: int = 1_000, analysing: bool = False) -> None:
        self._count = count
        self._analysing = analysing
        self._memory = memory
        self._most_waiting = most_waiting
        self._idle: asyncio.Queue[_Worker] = asyncio.Queue()
        self._workers: set[_Worker] = set()
        self._replacing: set[asyncio.Task[None]] = set()
        self._waiting = 0
        self._closed = False

    @property
    def count(self) -> int:
        """How many processes there are."""
        return self._count

    @property
    def waiting(self) -> int:
        """Calls that wait for a worker."""
        return self._waiting

    async def start(self) -> None:
        """Starts the processes; returns when all are loaded."""
        await asyncio.gather(*(self._add() for _ in range(self._count)))

    async def close(self) -> None:
        """Kills the processes."""
        self._closed = True
        for task in self._replacing:
            task.cancel()
        await asyncio.gather(*self._replacing, return_exceptions=True)
        await asyncio.gather(*(worker.kill() for worker in self._workers))
        self._workers.clear()

    async def call(
        self,
        operation: str,
        parameters: Mapping[str, Any],
        blobs: Sequence[bytes] = (),
        *,
        seconds: float,
        progress: Callable[[str], None] | None = None,
    ) -> Answer:
        """What a worker makes of contents.

        Cancelling the call kills the worker, which is replaced.

        Raises:
            OverloadedError: too many calls wait.
            RCAError: the worker refuses what it was given.
            WorkerDiedError: the worker died.
            TooLongError: it took longer than ``seconds``, not counting the wait for a worker.
        """
        if self._waiting >= self._most_waiting:
            raise OverloadedError("too many requests wait to be read", remedy="Send again in a second")
        worker = await self._take()
        sound = False
        try:
            async with asyncio.timeout(seconds):
                answer = await worker.ask(Call(operation, dict(parameters), list(blobs)), progress)
            sound = True
        except TimeoutError as bad:
            raise too_long(operation, seconds) from bad
        except (OSError, asyncio.IncompleteReadError) as bad:
            raise WorkerDiedError(
                f"the process died while it was to {operation}",
                remedy=SMALLER,
            ) from bad
        finally:
            if sound:
                self._idle.put_nowait(worker)
            else:
                self._replace(worker)
        if answer.kind == "result":
            return answer
        raise error_of(answer)

    async def _take(self) -> _Worker:
        """A worker that is idle and alive."""
        self._waiting += 1
        try:
            while True:
                worker = await self._idle.get()
                if worker.alive:
                    return worker
                self._replace(worker)
        finally:
            self._waiting -= 1

    def _replace(self, worker: _Worker) -> None:
        async def exchange() -> None:
            await worker.kill()
            self._workers.discard(worker)
            while not self._closed:
                try:
                    await self._add()
                    break
                except (OSError, asyncio.IncompleteReadError, TimeoutError):
                    await asyncio.sleep(1.0)  # no memory or no processes just now

        task = asyncio.get_running_loop().create_task(exchange())
        self._replacing.add(task)
        task.add_done_callback(self._replacing.discard)

    async def _add(self) -> None:
        worker = _Worker(self._memory, analysing=self._analysing)
        self._workers.add(worker)
        try:
            async with asyncio.timeout(START_SECONDS):
                await worker.start()
        except BaseException:
            await worker.kill()
            self._workers.discard(worker)
            raise
        self._idle.put_nowait(worker)


class _Worker:
    def __init__(self, memory: int, *, analysing: bool) -> None:
        self._arguments = (str(memory), *(["analyse"] * analysing))
        self._process: asyncio.subprocess.Process | None = None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        # One thread each: the processes are what runs side by side.
        single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        inherited = {name: value for name, value in os.environ.items() if name in _TOLD or not name.startswith("RCA_")}
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "rca.service.worker",
            *self._arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=inherited | single,
            start_new_session=True,  # Ctrl-C in a terminal is for the service, which lets workers finish
        )
        await self._read()

    async def ask(self, call: Call, progress: Callable[[str], None] | None) -> Answer:
        process = self._process
        if process is None or process.stdin is None:
            raise OSError("the worker was not started")
        try:
            process.stdin.write(encode(call))
            await process.stdin.drain()
        except RuntimeError as bad:  # what uvloop says of a pipe that is closed
            raise OSError("the worker is gone") from bad
        while (answer := await self._read()).kind == "progress":
            if progress is not None:
                progress(str(answer.values["stage"]))
        return answer

    async def kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill()
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()

    async def _read(self) -> Answer:
        process = self._process
        if process is None or process.stdout is None:
            raise OSError("the worker was not started")
        size = int.from_bytes(await process.stdout.readexactly(SIZE), "big")
        if size > MAX_FRAME:
            raise OSError("the worker says nonsense")
        return read_answer(await process.stdout.readexactly(size))


def too_long(operation: str, seconds: float) -> TooLongError:
    """The error of a piece of work that took longer than ``seconds``."""
    return TooLongError(
        f"{operation} took longer than {seconds:g} s",
        remedy="Take a shorter window or baseline, or raise analysis_seconds",
    )


def error_of(answer: Answer) -> RCAError:
    """The error that an answer without a result tells of."""
    values = answer.values
    if answer.kind == "broken":
        return WorkerDiedError(str(values["problem"]), remedy="Report what the log of the service says")
    error = _KINDS.get(str(values["kind"]), RCAError)(
        str(values["problem"]), where=values.get("where"), remedy=values.get("remedy")
    )
    if isinstance(error, SourceError):
        error.status = int(values.get("status", error.status))
    return error
