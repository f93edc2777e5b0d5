from __future__ import annotations

from rca.report.wording import listing


def test_a_long_list_ends_in_a_count() -> None:
    assert listing(["a", "b"], 2) == "a, b"
    assert listing(["a", "b", "c", "d"], 2) == "a, b and 2 more"
