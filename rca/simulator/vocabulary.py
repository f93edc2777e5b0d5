"""The words of the shop: names of components, operations, log lines. Content only."""

from __future__ import annotations

SERVICES: tuple[str, ...] = (
    "cart", "checkout", "catalog", "payment", "shipping", "recommender", "search", "pricing", "inventory", "accounts",
    "orders", "reviews", "currency", "advert", "wishlist", "session", "tax", "loyalty", "returns", "fraud",
    "images", "stock", "quotes", "profile", "feature-store", "ranking-model", "coupons", "address", "invoice",
    "delivery",
)  # fmt: skip
DOMAINS: tuple[str, ...] = (
    "apparel", "grocery", "garden", "books", "music", "travel", "sport", "toys", "office", "health",
    "pets", "motor", "gifts", "outlet", "business", "partner", "mobile", "europe", "asia", "americas",
)  # fmt: skip
FRONTENDS: tuple[str, ...] = ("web", "mobile-api", "partner-api", "backoffice", "kiosk", "voice-api")
DATABASES: tuple[str, ...] = ("orders-db", "catalog-db", "accounts-db", "stock-db", "ledger-db", "reviews-db")
CACHES: tuple[str, ...] = ("cart-cache", "session-cache", "catalog-cache", "price-cache")
QUEUES: tuple[str, ...] = ("order-events", "mail-jobs", "stock-updates", "click-stream")
CONSUMERS: tuple[str, ...] = ("order-worker", "mailer", "stock-sync", "click-ingest")
EXTERNALS: tuple[str, ...] = ("card-processor", "parcel-carrier", "geocoder", "sms-provider", "tax-authority")

VERBS: tuple[str, ...] = ("GET /{}", "POST /{}", "GET /{}/list", "PUT /{}/items", "GET /{}/summary", "POST /{}/check")
TEAMS: tuple[str, ...] = ("storefront", "fulfilment", "platform", "payments", "discovery", "data")

# Lines that a request writes: each component takes some. %d stand for what varies.
REQUEST_LINES: tuple[str, ...] = (
    "request accepted for customer %d",
    "loaded the basket of customer %d",
    "validated payload of %d bytes",
    "lookup finished in %d us",
    "response sent with %d bytes",
    "session %d refreshed",
    "computed total of %d cents",
    "feature vector of customer %d assembled",
    "reserved %d units in warehouse 7",
    "audit record %d written",
)
RARE_LINES: tuple[str, ...] = (
    "cache entry of key %d was stale, reloading",
    "slow response: %d ms",
    "deprecated field 'region' in request %d",
    "rate limiter at %d %% of its budget",
    "falling back to default locale for customer %d",
)
ERROR_LINES: tuple[str, ...] = (
    "ValidationError: field 'quantity' of order %d is negative",
    "NotFoundError: no entry with id %d",
    "ConflictError: version %d was changed by somebody else",
    "TimeoutError: gave up after %d ms",
)
BACKGROUND_LINES: tuple[str, ...] = (
    "heartbeat %d ok",
    "metrics flushed: %d points",
    "garbage collection paused the process for %d ms",
    "connection pool: %d idle connections closed",
    "configuration checked, revision %d unchanged",
    "scheduler ran %d jobs",
    "checkpoint complete: wrote %d buffers",
)
CLIENT_LINE = "call to {peer} failed after %d ms"
