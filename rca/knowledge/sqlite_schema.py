"""The tables of the SQLite store, by version; an older file is brought forward, a newer one refused."""

from __future__ import annotations

import sqlite3

from rca.errors import StoreError

APPLICATION = 0x72636131  # "rca1": tells our files from other people's
VERSION_1 = """
CREATE TABLE components (
  tenant TEXT, name TEXT, source TEXT, valid_from INTEGER, valid_to INTEGER, last_seen INTEGER, confidence REAL,
  kind TEXT, host TEXT, replica_of TEXT, team TEXT, attributes TEXT,
  PRIMARY KEY (tenant, name, source, valid_from)
) WITHOUT ROWID;
CREATE INDEX components_by_service ON components (tenant, replica_of);
CREATE TABLE dependencies (
  tenant TEXT, caller TEXT, callee TEXT, source TEXT, valid_from INTEGER, valid_to INTEGER, last_seen INTEGER,
  confidence REAL, weight REAL,
  PRIMARY KEY (tenant, caller, callee, source, valid_from)
) WITHOUT ROWID;
CREATE INDEX dependencies_by_callee ON dependencies (tenant, callee);
CREATE TABLE incidents (
  tenant TEXT, id TEXT, title TEXT, start INTEGER, "end" INTEGER, detected_at INTEGER, onset INTEGER, verdict TEXT,
  component TEXT, kind TEXT, change TEXT, missing TEXT, report TEXT,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX incidents_by_start ON incidents (tenant, start);
CREATE TABLE events (
  tenant TEXT, incident TEXT, number INTEGER, id TEXT, component TEXT, kind TEXT, name TEXT, start INTEGER,
  "end" INTEGER, severity REAL, direction TEXT, evidence TEXT, attributes TEXT,
  PRIMARY KEY (tenant, incident, number)
) WITHOUT ROWID;
CREATE TABLE links (
  tenant TEXT, incident TEXT, cause INTEGER, effect INTEGER, rule TEXT, also TEXT, lag INTEGER, weight REAL,
  PRIMARY KEY (tenant, incident, cause, effect)
) WITHOUT ROWID;
CREATE TABLE causes (
  tenant TEXT, incident TEXT, rank INTEGER, component TEXT, kind TEXT, score REAL, confidence REAL, sentence TEXT,
  PRIMARY KEY (tenant, incident, rank)
) WITHOUT ROWID;
CREATE TABLE touched (
  tenant TEXT, incident TEXT, component TEXT, role TEXT, PRIMARY KEY (tenant, incident, component, role)
) WITHOUT ROWID;
CREATE TABLE changes (
  tenant TEXT, id TEXT, component TEXT, kind TEXT, name TEXT, time INTEGER, team TEXT, attributes TEXT,
  PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE TABLE suspects (
  tenant TEXT, incident TEXT, change TEXT, probability REAL, sentence TEXT, PRIMARY KEY (tenant, incident, change)
) WITHOUT ROWID;
CREATE INDEX suspects_by_change ON suspects (tenant, change);
CREATE TABLE feedback (
  tenant TEXT, incident TEXT, by TEXT, at INTEGER, verdict TEXT, component TEXT, kind TEXT, change TEXT, note TEXT,
  PRIMARY KEY (tenant, incident, by, at)
) WITHOUT ROWID;
CREATE TABLE resolutions (
  tenant TEXT, incident TEXT, by TEXT, at INTEGER, text TEXT, PRIMARY KEY (tenant, incident, by, at)
) WITHOUT ROWID;
CREATE TABLE queue (number INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, batch BLOB NOT NULL);
CREATE TABLE remembered (tenant TEXT, question TEXT, read_at INTEGER, claims BLOB, PRIMARY KEY (tenant, question));
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT);
"""
VERSION_2 = """
CREATE TABLE aside (number INTEGER PRIMARY KEY, error TEXT NOT NULL, behind INTEGER, at INTEGER NOT NULL);
"""
# Files of earlier versions have a view that took notes for judgements.
VERSION_3 = """
DROP VIEW IF EXISTS settled;
CREATE VIEW settled AS
SELECT i.tenant, i.id AS incident, i.title, i.start,
  CASE WHEN f.verdict IS NOT NULL THEN f.verdict WHEN i.verdict = 'cause' THEN 'believed' ELSE 'open' END AS state,
  CASE WHEN f.verdict IS NULL THEN i.component ELSE f.component END AS component,
  CASE WHEN f.verdict IS NULL THEN i.kind ELSE f.kind END AS kind,
  CASE WHEN f.verdict IS NULL THEN i.change ELSE f.change END AS change,
  (SELECT count(*) FROM touched t WHERE t.tenant = i.tenant AND t.incident = i.id AND t.role = 'blast') AS reached
FROM incidents i
LEFT JOIN feedback f ON f.tenant = i.tenant AND f.incident = i.id AND f.verdict <> 'note' AND NOT EXISTS (
  SELECT 1 FROM feedback g
  WHERE g.tenant = f.tenant AND g.incident = f.incident AND g.verdict <> 'note' AND (g.at, g.by) > (f.at, f.by)
);
"""
MIGRATIONS: tuple[str, ...] = (VERSION_1, VERSION_2, VERSION_3)  # the script at i leads from version i to i + 1


def prepare(connection: sqlite3.Connection, where: str) -> None:
    """Creates the tables or brings them forward, all or nothing.

    Raises:
        StoreError: the file belongs to another program, or was written by a newer rca.
    """
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    used = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application not in (0, APPLICATION) or (used and application != APPLICATION):
        raise StoreError("is a database of another program", where=where, remedy="Name a new file, or one of rca's")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise StoreError(
            f"has version {version}, this rca reads up to {len(MIGRATIONS)}",
            where=where,
            remedy="Use the newer rca that wrote it",
        )
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{script}\nPRAGMA application_id = {APPLICATION};"
            f"\nPRAGMA user_version = {number};\nCOMMIT;"
        )
