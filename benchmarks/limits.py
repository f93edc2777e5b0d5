"""One table at the end of each benchmark: what was measured, what is asked for, and whether it is met."""

from __future__ import annotations


class Limits:
    """Collects figures, prints them, and knows whether all limits are met."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, str, str, str]] = []
        self._missed = 0

    def at_most(self, name: str, value: float, limit: float | None, unit: str) -> None:
        """A figure that must not pass a limit (None: there is none)."""
        self._add(name, value, limit, unit, "<=", limit is None or value <= limit)

    def at_least(self, name: str, value: float, limit: float | None, unit: str) -> None:
        """A figure that must reach a limit (None: there is none)."""
        self._add(name, value, limit, unit, ">=", limit is None or value >= limit)

    def show(self, name: str, value: float, unit: str) -> None:
        """A figure without a limit."""
        self._add(name, value, None, unit, "", True)

    def _add(self, name: str, value: float, limit: float | None, unit: str, sign: str, met: bool) -> None:
        asked = "" if limit is None else f"{sign} {limit:g} {unit}"
        self._rows.append((name, f"{value:,.3g} {unit}", asked, "" if limit is None else "ok" if met else "MISSED"))
        self._missed += not met

    def close(self) -> int:
        """Print the table; the exit code: 1 where a limit is missed."""
        widths = [max(len(row[i]) for row in self._rows) for i in range(4)]
        for name, value, asked, verdict in self._rows:
            print(f"{name:<{widths[0]}}  {value:>{widths[1]}}  {asked:<{widths[2]}}  {verdict}".rstrip())
        return 1 if self._missed else 0
