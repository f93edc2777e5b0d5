"""Where what came in, and what was answered, is kept: a database of records, and files of telemetry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rca.errors import StoreError

if TYPE_CHECKING:
    from rca.stores.protocol import Store

__all__ = ["open_store"]


def open_store(url: str) -> Store:
    """The store that a URL names: ``sqlite:PATH``, or ``postgresql://user@host/database``.

    Raises:
        StoreError: another kind of URL, or the store cannot be opened.
    """
    scheme, _, rest = url.partition(":")
    if scheme == "sqlite" and rest:
        from rca.stores.sqlite import SQLiteStore

        path = Path(rest)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as bad:
            raise StoreError(
                f"its folder cannot be made: {bad.strerror}", where=path, remedy="Check its parent"
            ) from bad
        return SQLiteStore(path)
    if scheme in ("postgresql", "postgres") and rest.startswith("//"):
        from rca.stores.postgres import PostgresStore

        return PostgresStore(url)
    raise StoreError(
        f"{scheme[:40]!r} is no kind of store", remedy="Use sqlite:data/rca.db, or postgresql://user@host/database"
    )
