"""Asking Jaeger who calls whom: ``/api/dependencies``. Zipkin's ``/api/v2/dependencies`` answers alike."""

from __future__ import annotations

from typing import Any

import msgspec

from rca.errors import TopologyError
from rca.sources.asking import Server
from rca.sources.errors import SourceError, UnavailableError
from rca.sources.received import Received
from rca.topology_files import topology_from_json
from rca.types import Window

_MILLISECOND = 1_000_000


def query_dependencies(server: Server, window: Window, *, zipkin: bool = False) -> Received:
    """The calls between services in a window, as a topology.

    Raises:
        UnavailableError: no answer, or an error as answer; SourceError: an answer of another form.
    """
    params = {"endTs": window.end // _MILLISECOND, "lookback": (window.end - window.start) // _MILLISECOND}
    path = "/api/v2/dependencies" if zipkin else "/api/dependencies"
    document: Any = server.ask("GET", path, object, params=params)
    if isinstance(document, dict) and document.get("errors"):
        raise UnavailableError(f"answers {str(document['errors'])[:200]}", where=server.name, remedy="Check Jaeger")
    if document == [] or (isinstance(document, dict) and "data" in document and not document["data"]):
        return Received(warnings=(f"{server.name} saw no calls in the window",))
    try:
        return Received(topology=topology_from_json(msgspec.json.encode(document), where=server.name))
    except TopologyError as bad:
        raise SourceError(bad.problem, where=bad.where, remedy="Ask Jaeger's or Zipkin's API") from bad
