"""What an Access Point remembers, as SQLite tables."""

TABLES = """
CREATE TABLE IF NOT EXISTS grants (
    job_id TEXT NOT NULL,
    asset_id TEXT NOT NULL,
    terms_digest TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (job_id, asset_id)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS refused_grants (
    job_id TEXT NOT NULL,
    asset_id TEXT NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (job_id, asset_id)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS agreements (
    id TEXT PRIMARY KEY,
    to_team TEXT NOT NULL,
    asset_id TEXT,
    protocol TEXT,
    algorithm TEXT,
    algorithm_security TEXT,
    expiration TEXT,
    run_limit INTEGER,
    ended TEXT
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS agreement_runs (
    agreement_id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    PRIMARY KEY (agreement_id, job_id)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS assets (
    id TEXT PRIMARY KEY,
    name TEXT,
    kind TEXT NOT NULL,
    file TEXT NOT NULL,
    columns TEXT NOT NULL,
    records INTEGER NOT NULL,
    job_id TEXT
);

CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    decided INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE IF NOT EXISTS results (
    job_id TEXT PRIMARY KEY,
    raw_status TEXT NOT NULL,
    asset_id TEXT
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS lines (
    job_id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    kind TEXT NOT NULL,
    line BLOB NOT NULL,
    PRIMARY KEY (job_id, sequence)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    document BLOB NOT NULL
);
"""
