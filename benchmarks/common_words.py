"""Counts in how many modules of Python's standard library each word occurs; writes graphs/common_words.txt.

Words that every program uses say little about which change did it. Tests and vendored code are left
out. Run with Python 3.11 to get the shipped table: ``python benchmarks/common_words.py``.
"""

from __future__ import annotations

import collections
import sysconfig
from pathlib import Path

from rca.suspects.vocabulary import COMPOUND, tokens

FEWEST_FILES = 5
LEFT_OUT = {
    "test",
    "tests",
    "site-packages",
    "idlelib",
    "lib2to3",
    "turtledemo",
    "encodings",
    "__pycache__",
    "ensurepip",
}


def main() -> None:
    library = Path(sysconfig.get_paths()["stdlib"])
    counts: collections.Counter[str] = collections.Counter()
    files = 0
    for path in sorted(library.rglob("*.py")):
        if LEFT_OUT & set(path.relative_to(library).parts) or path.name.startswith("_sysconfigdata"):
            continue
        counts.update(tokens(path.read_text(encoding="utf-8", errors="replace")))
        files += 1
    rows = [f"{word} {n}" for word, n in sorted(counts.items()) if n >= FEWEST_FILES and word[0] != COMPOUND]
    head = [
        "# In how many modules of Python's standard library a stemmed word occurs (benchmarks/common_words.py).",
        f"*files* {files}",
    ]
    target = Path(__file__).resolve().parents[1] / "graphs" / "common_words.txt"
    target.write_text("\n".join([*head, *rows]) + "\n", encoding="utf-8")
    print(f"{len(rows)} words of {files} files in {target}")


if __name__ == "__main__":
    main()
