"""A worker process: ``python -m rca.service.worker BYTES [analyse]`` reads calls from its input and answers them.

One that is to analyse rehearses that before it says that it is ready.
"""

from __future__ import annotations

import os
import resource
import sys
import traceback
from collections.abc import Callable
from typing import Any, BinaryIO

from rca.errors import InputError, RCAError
from rca.service.frames import SIZE, SMALLER, Answer, Call, encode, read_call

Progress = Callable[[str], None]


def main() -> None:
    """Serves until the input ends."""
    memory = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    # Answers go over the descriptor that was standard output; whatever prints goes to the log.
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    operations = load_operations(rehearsed="analyse" in sys.argv[2:])
    _send(output, Answer("ready", {}))
    source = sys.stdin.buffer
    while header := source.read(SIZE):
        call = read_call(source.read(int.from_bytes(header, "big")))
        _send(output, answer_call(operations, call, lambda stage: _send(output, Answer("progress", {"stage": stage}))))
        del call


def load_operations(*, rehearsed: bool = False) -> dict[str, Callable[[dict[str, Any], list[bytes], Progress], Answer]]:
    """All operations by name, with what they need loaded; ``rehearsed``: an analysis is as fast as it will be."""
    from rca.kinds import load_kinds
    from rca.rules import load_rules
    from rca.service.operations import OPERATIONS
    from rca.service.rehearsal import rehearse

    load_kinds()
    load_rules()
    if rehearsed:
        rehearse(OPERATIONS["analyse"])
    return OPERATIONS


def answer_call(
    operations: dict[str, Callable[[dict[str, Any], list[bytes], Progress], Answer]], call: Call, progress: Progress
) -> Answer:
    """What an operation makes of a call; whatever it raises becomes an answer as well."""
    try:
        return operations[call.operation](call.parameters, call.blobs, progress)
    except RCAError as error:
        return _refusal(error)
    except MemoryError:
        return _refusal(InputError("needs more memory than a worker has", remedy=SMALLER))
    except Exception as error:
        if type(error).__module__.partition(".")[0] == "pyarrow" and "malloc" in str(error):
            return _refusal(InputError("needs more memory than a worker has", remedy=SMALLER))
        traceback.print_exc()
        return Answer("broken", {"problem": f"a mistake in rca itself: {type(error).__name__}"})


def _refusal(error: RCAError) -> Answer:
    kind = next(
        (base.__name__ for base in type(error).__mro__ if base.__name__ in ("InputError", "SourceError")), "RCAError"
    )
    values = {"kind": kind, "problem": error.problem, "where": error.where, "remedy": error.remedy}
    return Answer("refused", values | {"status": getattr(error, "status", 422)})


def _send(output: BinaryIO | Any, answer: Answer) -> None:
    frame = memoryview(encode(answer))
    while frame:
        frame = frame[output.write(frame) :]


if __name__ == "__main__":
    main()
