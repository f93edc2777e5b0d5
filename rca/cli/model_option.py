"""The options that say which trained detector is used: ``--model`` and ``--models``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

NO_MODEL = "none"

ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME",
        help='A trained detector: name, name@version or path; "none" for none. Default: the one that case.json names.',
    ),
]
ModelsOption = Annotated[
    Path | None, typer.Option("--models", help="The folder of trained detectors; default as in `rca models`.")
]


def model_reference(model: str | None, models: Path | None) -> str | None:
    """What ``Case.model`` is to be: "" for no detector, None where the case itself decides."""
    if model is None or model == NO_MODEL:
        return None if model is None else ""
    if models is None or os.sep in model:
        return model
    name, _, version = model.partition("@")
    return str(models.resolve() / name / version)
