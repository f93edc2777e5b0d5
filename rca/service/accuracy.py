"""How often the cause that people confirmed was ranked first: measured on the reports as they were, or anew."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from rca.errors import NotFoundError
from rca.evaluation.measures import measures, score_card, stack, worst_rank
from rca.service.uses import in_use, read_card
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
    """The measures over what was answered before anybody said what the cause was."""
    cases = []
    for one in confirmed:
        with suppress(NotFoundError):  # its analysis failed, or it was deleted meanwhile
            cases.append(rank_of(one, store.judged_report(one.incident)))
    return measure(cases, replayed=False)


def held_out(store: Store) -> dict[str, Any] | None:
    """How the version in use ranks confirmed incidents that it did not see, and the untrained answer the same ones.

    None where no version is in use.
    """
    version = in_use(store)
    card = next((read_card(one.card) for one in store.learned_versions() if one.version == version), {})
    figures = card.get("held_out", {})
    if not {"learned", "untrained"} <= figures.keys():
        return None
    both = {method: figures[method] for method in ("learned", "untrained")}
    return {"version": version, "incidents": card.get("incidents", 0), **both}
