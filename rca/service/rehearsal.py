"""What a worker does before its first analysis, so that nobody waits for what is only done once."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from rca.service.frames import Answer

Progress = Callable[[str], None]
Operation = Callable[[dict[str, Any], list[bytes], Progress], Answer]


def rehearse(analyse: Operation) -> None:
    """Analyses a bundled incident with log lines, spans and changes, and forgets the answer.

    The first analysis of a process loads modules and tables that all later ones find; a bundled incident
    loads them all, whatever they are by then. Should it fail, that is said, and the worker works all the same.
    """
    from rca.cases.folder import read_case
    from rca.resources import bundled
    from rca.stores.snapshots import pack_case

    try:
        folder = min(path.parent for path in bundled("datasets", "demo-shop").glob("*/case.json"))
        analyse({"top_k": 1}, [pack_case(read_case(folder))], lambda _: None)
    except Exception:
        traceback.print_exc()
