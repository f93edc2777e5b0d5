"""Time of ``import rca`` in a fresh interpreter, and what it must not load.

Run: ``python benchmarks/bench_import.py``
"""

from __future__ import annotations

import subprocess
import sys

from limits import Limits

LIMIT = 0.3  # seconds
ROUNDS = 7
# Optional, or heavy and seldom needed: each is loaded by what needs it.
HEAVY = ("torch", "neo4j", "fastapi", "pandas", "matplotlib", "networkx", "pyarrow")
PROBE = """
import sys, time
start = time.perf_counter()
import {module}
print(time.perf_counter() - start, *sorted(set(sys.modules) & {heavy!r}))
"""


def load(module: str) -> tuple[float, list[str]]:
    """Seconds, and which of the heavy modules came with it."""
    probe = PROBE.format(module=module, heavy=set(HEAVY))
    answer = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout.split()
    return float(answer[0]), answer[1:]


def main() -> int:
    limits = Limits()
    for module, limit in (("rca", LIMIT), ("rca.pipeline", None)):
        rounds = [load(module) for _ in range(ROUNDS)]
        limits.at_most(f"import {module}", min(seconds for seconds, _ in rounds), limit, "s")
        heavy = {name for _, names in rounds for name in names}
        limits.at_most(f"heavy modules that {module} loads", len(heavy), 0 if limit else None, "modules")
        if heavy:
            print(f"{module} loads {', '.join(sorted(heavy))}")
    return limits.close()


if __name__ == "__main__":
    sys.exit(main())
