"""The recipe of the detector that ships for the demonstration's shop.

python models/demo-shop/train.py [FOLDER]    trains it again, as the next version below FOLDER (default: models/)
"""

from __future__ import annotations

import sys
from pathlib import Path

from rca.detectors.catalogue import find_detector
from rca.registry import StoredModel, Training, promote, save_model
from rca.simulator.demo import MODEL, SHOP, demo_history
from rca.types import to_nanoseconds

# Three days are the fewest in which the daily course of traffic can be told from chance.
DAYS, SEED = 3.0, 0
# The autoencoder alone: half as large as the ensemble, and what the shop's incidents need.
DETECTOR = "mlp"
CREATED = to_nanoseconds("2026-03-02T00:00:00Z")  # when the history ends


def train(folder: Path) -> StoredModel:
    """Train, store and put into use."""
    history = demo_history(DAYS)
    detector = find_detector(DETECTOR).fit(history, seed=SEED)
    training = Training.of(history, seed=SEED, source=f"{DAYS:g} days of the simulated shop of seed {SHOP}")
    stored = save_model(detector, MODEL, training, models=folder, created=CREATED)
    promote(MODEL, stored.version, models=folder)
    return stored


if __name__ == "__main__":
    made = train(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1])
    print(f"{made.reference}: {made.path}")
