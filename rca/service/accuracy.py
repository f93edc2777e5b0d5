"""How often the cause that people confirmed was ranked first: measured on the reports as they were, or anew."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from rca.evaluation.measures import measures, score_card, stack, worst_rank
from rca.stores.records import Feedback

if TYPE_CHECKING:
    from rca.stores.protocol import Store


def rank_of(feedback: Feedback, document: bytes) -> dict[str, Any]:
    """The rank of the confirmed cause in a report (compressed with gzip); null where it is not ranked."""
    ranking = msgspec.json.decode(gzip.decompress(document))["ranking"]
    scores = {row["component"]: float(row["score"]) for row in ranking}
    return {
        "incident": feedback.incident,
        "cause": feedback.component,
        "rank": worst_rank(scores, [feedback.component]),
    }


def measure(cases: Sequence[dict[str, Any]], *, replayed: bool) -> dict[str, Any]:
    """AC@k, Avg@5 and MRR over the ranks of cases."""
    cards = stack([score_card(case["rank"]) for case in cases])
    found = {name: round(value, 6) for name, value in measures(cards).items()}
    return {"incidents": len(cases), "replayed": replayed, "measures": found, "cases": list(cases)}


def measure_reports(store: Store, confirmed: Sequence[Feedback]) -> dict[str, Any]:
    """The measures over the last reports of incidents with a confirmed cause."""
    return measure([rank_of(one, store.report(one.incident)[1]) for one in confirmed], replayed=False)
