"""The registry: trained detectors as numbered versions that are never changed, and which of them is in use.

model = load_model("checkout")            # the version in use; raises ModelError
scores = model.detector.score(window)
"""

from __future__ import annotations

from pathlib import Path

from rca.registry.description import Training
from rca.registry.places import find_model
from rca.registry.pointer import current_version, promote, roll_back
from rca.registry.storing import LoadedModel, StoredModel, load_version, save_model

__all__ = ["LoadedModel", "StoredModel", "Training", "load_model", "promote", "roll_back", "save_model"]


def load_model(reference: str | Path, *, models: str | Path | None = None) -> LoadedModel:
    """A stored detector.

    Args:
        reference: ``name`` (the version in use) or ``name@version``, in the folder of models or among
            the bundled ones; or the path of a model's or a version's folder.
        models: the folder of models; else ``$RCA_HOME/models``, else that of the user's own data.

    Raises:
        ModelError: there is no such model, none of its versions is in use, or the version is damaged.
    """
    folder, version = find_model(reference, models)
    return load_version(folder, current_version(folder) if version is None else version)
