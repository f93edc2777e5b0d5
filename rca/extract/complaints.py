"""Error lines that complain of another component: evidence about the one they name, not about the writer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property

from rca.topology import Topology

# Words by which a line says that the failure lies elsewhere, without saying where.
_ELSEWHERE = re.compile(r"\b(?:upstream|downstream|dependency|dependencies)\b", re.IGNORECASE)
# Shorter names occur in any text.
SHORTEST_NAME = 3
# A line that names more components lists them; it blames none.
MOST_NAMED = 3


class Complaints:
    """Finds whom a line names.

    Args:
        components: every component that is known.
        topology: who calls whom; a line that names the writer's caller tells on whose behalf it failed.
    """

    def __init__(self, components: Iterable[str], topology: Topology) -> None:
        self._names = sorted({n for n in components if len(n) >= SHORTEST_NAME}, key=lambda n: (-len(n), n))
        self._topology = topology

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        names = "|".join(map(re.escape, self._names)) or "(?!)"
        return re.compile(rf"(?<![\w.-])(?:{names})(?![\w-])")

    def named_by(self, component: str, text: str) -> tuple[str, ...]:
        """Other components that a line of ``component`` names as whole words and may depend on, sorted."""
        found = {match[0] for match in self._pattern.finditer(text)}
        own = self._topology.service(component)
        others = {name for name in found if name != component and self._topology.service(name) != own}
        callers = set(self._topology.callers(component)) - set(self._topology.callees(component)) if others else set()
        named = tuple(sorted(others - callers))
        return named if len(named) <= MOST_NAMED else ()

    @staticmethod
    def points_elsewhere(text: str) -> bool:
        """Whether a line says that something it depends on failed."""
        return _ELSEWHERE.search(text) is not None
