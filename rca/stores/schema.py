"""The tables, as migrations: each version is a list of statements that makes it out of the one before.

The same statements serve SQLite and PostgreSQL; ``{blob}`` and ``{serial}`` are what the two call
bytes and a number that counts itself up. A migration, once released, is never changed: add another.
"""

from __future__ import annotations

from rca.errors import StoreError
from rca.stores.writer import Session

_FIRST = """
CREATE TABLE events (
    id TEXT PRIMARY KEY, time BIGINT NOT NULL, component TEXT NOT NULL, kind TEXT NOT NULL,
    source TEXT NOT NULL, received BIGINT NOT NULL, body TEXT NOT NULL);
CREATE INDEX events_by_time ON events (time);
CREATE TABLE changes (
    id TEXT PRIMARY KEY, time BIGINT NOT NULL, component TEXT NOT NULL, kind TEXT NOT NULL,
    source TEXT NOT NULL, received BIGINT NOT NULL, body TEXT NOT NULL);
CREATE INDEX changes_by_time ON changes (time);
CREATE TABLE components (
    name TEXT PRIMARY KEY, first_seen BIGINT NOT NULL, last_seen BIGINT NOT NULL);
CREATE TABLE edges (
    caller TEXT NOT NULL, callee TEXT NOT NULL, last_seen BIGINT NOT NULL, PRIMARY KEY (caller, callee));
CREATE TABLE facts (
    component TEXT NOT NULL, fact TEXT NOT NULL, value TEXT NOT NULL, last_seen BIGINT NOT NULL,
    PRIMARY KEY (component, fact));
CREATE TABLE incidents (
    id TEXT PRIMARY KEY, created BIGINT NOT NULL, updated BIGINT NOT NULL, title TEXT NOT NULL,
    state TEXT NOT NULL, fingerprint TEXT NOT NULL, start_time BIGINT NOT NULL, end_time BIGINT NOT NULL,
    detected BIGINT, description TEXT NOT NULL, snapshot TEXT NOT NULL, verdict TEXT NOT NULL,
    cause TEXT NOT NULL, confidence DOUBLE PRECISION NOT NULL, source TEXT NOT NULL);
CREATE INDEX incidents_by_creation ON incidents (created, id);
CREATE INDEX incidents_by_fingerprint ON incidents (fingerprint, updated);
CREATE TABLE jobs (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, incident TEXT NOT NULL, state TEXT NOT NULL,
    attempt BIGINT NOT NULL, created BIGINT NOT NULL, started BIGINT, finished BIGINT, deadline BIGINT,
    lease BIGINT NOT NULL, worker TEXT NOT NULL, progress TEXT NOT NULL, request TEXT NOT NULL,
    error TEXT NOT NULL);
CREATE INDEX jobs_by_state ON jobs (state, created);
CREATE INDEX jobs_by_incident ON jobs (incident, created);
CREATE TABLE reports (
    job TEXT PRIMARY KEY, incident TEXT NOT NULL, created BIGINT NOT NULL, document {blob} NOT NULL,
    page {blob} NOT NULL, graph {blob} NOT NULL, graphml {blob} NOT NULL);
CREATE INDEX reports_by_incident ON reports (incident, created);
CREATE TABLE feedback (
    id TEXT PRIMARY KEY, incident TEXT NOT NULL, time BIGINT NOT NULL, who TEXT NOT NULL,
    opinion TEXT NOT NULL, component TEXT NOT NULL, note TEXT NOT NULL);
CREATE INDEX feedback_by_incident ON feedback (incident, time);
CREATE TABLE deliveries (
    id TEXT PRIMARY KEY, incident TEXT NOT NULL, target TEXT NOT NULL, state TEXT NOT NULL,
    attempt BIGINT NOT NULL, due BIGINT NOT NULL, created BIGINT NOT NULL, body TEXT NOT NULL,
    error TEXT NOT NULL, receipt TEXT NOT NULL);
CREATE INDEX deliveries_by_state ON deliveries (state, due);
CREATE TABLE tokens (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, digest {blob} NOT NULL UNIQUE, scopes TEXT NOT NULL,
    created BIGINT NOT NULL, expires BIGINT, revoked BIGINT);
CREATE TABLE audit (
    id {serial}, time BIGINT NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL, subject TEXT NOT NULL,
    outcome TEXT NOT NULL, trace TEXT NOT NULL);
CREATE INDEX audit_by_time ON audit (time);
CREATE TABLE idempotency (
    owner TEXT NOT NULL, key TEXT NOT NULL, digest TEXT NOT NULL, incident TEXT NOT NULL,
    job TEXT NOT NULL, created BIGINT NOT NULL, PRIMARY KEY (owner, key));
CREATE TABLE segments (
    id TEXT PRIMARY KEY, signal TEXT NOT NULL, start_time BIGINT NOT NULL, end_time BIGINT NOT NULL,
    row_count BIGINT NOT NULL, size BIGINT NOT NULL, created BIGINT NOT NULL);
CREATE INDEX segments_by_time ON segments (signal, start_time);
CREATE TABLE bodies (digest TEXT PRIMARY KEY, received BIGINT NOT NULL);
CREATE TABLE files (name TEXT PRIMARY KEY, created BIGINT NOT NULL, content {blob} NOT NULL);
"""

_ALERTS = """
CREATE TABLE watched (
    incident TEXT PRIMARY KEY, due BIGINT NOT NULL, analyses BIGINT NOT NULL, closed BIGINT NOT NULL);
CREATE INDEX watched_by_due ON watched (due);
CREATE TABLE incident_alerts (
    key TEXT NOT NULL, start_time BIGINT NOT NULL, incident TEXT NOT NULL, component TEXT NOT NULL,
    name TEXT NOT NULL, state TEXT NOT NULL, group_keys TEXT NOT NULL, page TEXT NOT NULL, labels TEXT NOT NULL,
    updated BIGINT NOT NULL, PRIMARY KEY (key, start_time));
CREATE INDEX incident_alerts_by_incident ON incident_alerts (incident);
CREATE TABLE turns (name TEXT PRIMARY KEY, turn BIGINT NOT NULL);
INSERT INTO turns VALUES ('alerts', 0);
"""

_LEARNING = """
ALTER TABLE feedback ADD COLUMN kind TEXT NOT NULL DEFAULT '';
ALTER TABLE feedback ADD COLUMN resolution TEXT NOT NULL DEFAULT '';
ALTER TABLE feedback ADD COLUMN token TEXT NOT NULL DEFAULT '';
CREATE TABLE portraits (
    incident TEXT PRIMARY KEY, job TEXT NOT NULL, engine TEXT NOT NULL, content {blob} NOT NULL);
CREATE TABLE learned_versions (
    version TEXT PRIMARY KEY, created BIGINT NOT NULL, card TEXT NOT NULL, weights {blob} NOT NULL,
    kinds {blob} NOT NULL);
CREATE TABLE learned_uses (
    id {serial}, version TEXT NOT NULL, time BIGINT NOT NULL, action TEXT NOT NULL, who TEXT NOT NULL);
INSERT INTO turns VALUES ('learn', 0);
"""

_FAILURES = """
ALTER TABLE jobs ADD COLUMN told BIGINT NOT NULL DEFAULT 0;
UPDATE jobs SET told = 1;
"""

_MERGERS = """
CREATE TABLE mergers (
    incident TEXT PRIMARY KEY, home TEXT NOT NULL, time BIGINT NOT NULL, reason TEXT NOT NULL, parted BIGINT NOT NULL);
CREATE INDEX mergers_by_home ON mergers (home);
ALTER TABLE incident_alerts ADD COLUMN first_incident TEXT NOT NULL DEFAULT '';
UPDATE incident_alerts SET first_incident = incident;
"""

MIGRATIONS: tuple[str, ...] = (_FIRST, _ALERTS, _LEARNING, _FAILURES, _MERGERS)
VERSION = len(MIGRATIONS)


def migrate(session: Session, *, blob: str, serial: str, where: str, lock: str = "") -> None:
    """Brings a store to this version, in one transaction.

    Args:
        lock: a statement that keeps other replicas from doing the same at the same time.

    Raises:
        StoreError: a newer version made it.
    """
    session.begin()
    try:
        if lock:
            session.rows(lock)
        session.run("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")
        found = session.rows("SELECT version FROM schema_version")
        version = int(found[0][0]) if found else 0
        if version > VERSION:
            raise StoreError(
                f"was made by a newer version (schema {version}, this one knows {VERSION})",
                where=where,
                remedy="Use that version, or another store",
            )
        for script in MIGRATIONS[version:]:
            for statement in script.format(blob=blob, serial=serial).split(";"):
                if statement.strip():
                    session.run(statement)
        if version < VERSION:
            session.run("DELETE FROM schema_version")
            session.run("INSERT INTO schema_version VALUES (?)", (VERSION,))
        session.commit()
    except BaseException:
        session.rollback()
        raise
