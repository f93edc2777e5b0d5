"""Error lines that complain of another component: evidence about the one they name, not about the writer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property

from rca.topology import Topology

# Words by which a line says that the failure lies elsewhere, without saying where.
_ELSEWHERE = re.compile(
    r"\b(?:upstream|downstream|dependency|dependencies)\b"
    r"|\bcontext cancell?ed\b|\b(?:cancell?ed|closed|aborted) by (?:the )?client\b",
    re.IGNORECASE,
)
# A field that says where the line was written, such as k8s.node=.
_WRITTEN_AT = re.compile(r"(?:node|host|hostname|pod|instance|container)[\"']?[=:] ?[\"']?$", re.IGNORECASE)
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
        # A line that names a host says where it was written.
        hosts = {*topology.hosts.values(), *(name for name, kind in topology.kinds.items() if kind == "host")}
        names = {name for name in components if len(name) >= SHORTEST_NAME} - hosts
        self._names = sorted(names, key=lambda name: (-len(name), name))
        self._topology = topology

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        names = "|".join(map(re.escape, self._names)) or "(?!)"
        return re.compile(rf"(?<![\w.-])(?:{names})(?![\w-])")

    def named_by(self, component: str, text: str) -> tuple[str, ...]:
        """Other components that a line of ``component`` names as whole words and may depend on, sorted."""
        found = {
            m[0]
            for m in self._pattern.finditer(text)
            if not _WRITTEN_AT.search(text, max(m.start() - 20, 0), m.start())
        }
        own = self._topology.service(component)
        others = {name for name in found if name != component and self._topology.service(name) != own}
        callers = set(self._topology.callers(component)) - set(self._topology.callees(component)) if others else set()
        named = tuple(sorted(others - callers))
        return named if len(named) <= MOST_NAMED else ()

    @staticmethod
    def points_elsewhere(text: str) -> bool:
        """Whether a line says that something else failed: what it depends on, or a client that went away."""
        return _ELSEWHERE.search(text) is not None
