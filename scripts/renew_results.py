"""Puts the figures of ``rca evaluate --json`` files into README.md: python scripts/renew_results.py FOLDER.

The folder holds one file per set, named by the set (``nezha-tt.json``), and optionally the same with
the onset given (``nezha-tt.given.json``).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
SETS = {
    "nezha-tt": "Nezha Train Ticket",
    "nezha-ob": "Nezha Online Boutique",
    "petshop": "PetShop (low traffic)",
    "tvdiag-gaia": "TVDiag GAIA",
    "tvdiag-sockshop": "TVDiag Sock Shop",
    "tvdiag-hotel": "TVDiag Hotel",
    "rootcausebench": "RootCauseBench, first failing service",
    "native": "own simulator, 100 unseen seeds",
}
PEERS = ("max-z", "nsigma", "baro", "alert-count", "latest-change")


def rows(folder: Path) -> list[str]:
    """One line of the table for each set that has a file."""
    lines = [
        "| set | incidents | AC@1 | AC@3 | onset given | chance | label prior | best plain baseline | s / incident |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, title in SETS.items():
        file = folder / f"{name}.json"
        if not file.exists():
            continue
        data = json.loads(file.read_text(encoding="utf-8"))
        methods: dict[str, Any] = data["methods"]
        own, low, high = methods["rca"], *methods["rca"]["intervals"]["AC@1"]
        given = folder / f"{name}.given.json"
        told = "–"
        if given.exists():
            other = json.loads(given.read_text(encoding="utf-8"))["methods"]["rca"]
            told = f"{other['AC@1']:.3f} / {other['AC@3']:.3f}"
        peer = max((p for p in PEERS if p in methods), key=lambda p: (methods[p]["AC@1"], methods[p]["AC@3"]))
        lines.append(
            f"| {title} | {data['n']} | **{own['AC@1']:.3f}** ({low:.2f}–{high:.2f}) | {own['AC@3']:.3f} | {told} | "
            f"{methods['random']['AC@1']:.3f} | {methods['label-prior']['AC@1']:.3f} | "
            f"{methods[peer]['AC@1']:.3f} ({peer}) | {own['seconds_per_incident']:.2f} |"
        )
    return lines


def main() -> None:
    """Renew the block between the two marks."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    readme = Path(__file__).parents[1] / "README.md"
    text = readme.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    block = "\n".join(rows(Path(sys.argv[1])))
    readme.write_text(f"{before}{BEGIN}\n{block}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
