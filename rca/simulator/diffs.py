"""What changes look like: messages, files and diffs of culprits and of innocent changes. Content only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A change before it has a place and a time; {noun} stands for the service."""

    message: str
    file: str
    diff: str


CULPRITS: dict[str, tuple[Draft, ...]] = {
    "latency": (
        Draft(
            message="{noun}: simplify pricing of bundles",
            file="src/{noun}/bundles.py",
            diff="-    index = build_index(rules)\n-    return [index[item.sku] for item in items]\n"
            "+    return [next(r for r in rules if r.sku == item.sku) for item in items]\n",
        ),
        Draft(
            message="{noun}: sign responses",
            file="src/{noun}/respond.py",
            diff="-    body = encode(result)\n+    body = encode(result)\n+    for part in body.parts:\n"
            "+        part.signature = sign(part, rounds=20000)\n",
        ),
    ),
    "errors": (
        Draft(
            message="{noun}: read addresses in the new form",
            file="src/{noun}/address.py",
            diff="-    country = address.get('country', DEFAULT_COUNTRY)\n+    country = address['country_code']\n",
        ),
        Draft(
            message="{noun}: drop support of old clients",
            file="src/{noun}/decode.py",
            diff="-    if payload is None:\n-        return EMPTY\n     return payload.items\n",
        ),
    ),
    "calls": (
        Draft(
            message="{noun}: load items when they are needed",
            file="src/{noun}/load.py",
            diff="-    rows = store.fetch_many(ids)\n+    rows = []\n+    for one in ids:\n"
            "+        rows.append(store.fetch(one))\n",
        ),
    ),
    "leak": (
        Draft(
            message="{noun}: remember what was rendered",
            file="src/{noun}/memo.py",
            diff="-RENDERED = BoundedCache(limit=2000)\n+RENDERED = {}\n",
        ),
    ),
}
"""By what the change does to the shop."""

INNOCENT: tuple[Draft, ...] = (
    Draft(
        message="{noun}: log the version at start",
        file="src/{noun}/main.py",
        diff="+    log.info('starting version %s', VERSION)\n",
    ),
    Draft(
        message="{noun}: rename a local variable",
        file="src/{noun}/handler.py",
        diff="-    res = handle(request)\n-    return res\n+    response = handle(request)\n+    return response\n",
    ),
    Draft(
        message="{noun}: describe the endpoints",
        file="docs/{noun}.md",
        diff="+## Endpoints\n+Each takes and returns JSON.\n",
    ),
    Draft(
        message="{noun}: test empty baskets",
        file="tests/{noun}/test_empty.py",
        diff="+def test_an_empty_basket_costs_nothing():\n+    assert total([]) == 0\n",
    ),
    Draft(
        message="{noun}: newer patch release of the HTTP client",
        file="requirements.txt",
        diff="-httpclient==4.2.1\n+httpclient==4.2.2\n",
    ),
    Draft(
        message="{noun}: count requests by region",
        file="src/{noun}/metrics.py",
        diff="+REQUESTS = Counter('requests_by_region', labels=('region',))\n",
    ),
)

BAD_SETTINGS: tuple[tuple[str, str, str], ...] = (
    ("max_workers", "32", "1"),
    ("upstream_timeout_ms", "2000", "20"),
    ("batch_size", "100", "1"),
)
"""Key, old and new value of configurations that hurt."""

INNOCENT_SETTINGS: tuple[tuple[str, str, str], ...] = (
    ("log_level", "info", "warning"),
    ("dashboard_refresh_s", "30", "60"),
    ("max_workers", "32", "36"),
)
FLAGS: tuple[str, ...] = ("new-ranking", "express-lane", "bundle-view", "smart-address", "lazy-images")
