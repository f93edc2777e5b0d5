"""``rca version``: what a bug report needs."""

from __future__ import annotations

from typing import Annotated

import typer

from rca.cli.terminal import write_text


def version(
    verbose: Annotated[bool, typer.Option("--verbose", help="Also the versions of what it stands on.")] = False,
) -> None:
    """Print the version."""
    import platform
    from importlib import metadata

    import rca

    write_text(f"rca {rca.__version__}")
    if verbose:
        write_text(f"python {platform.python_version()} on {platform.system()} {platform.machine()}")
        for name in ("numpy", "scipy", "pandas", "pyarrow", "networkx", "drain3"):
            write_text(f"{name} {metadata.version(name)}")
