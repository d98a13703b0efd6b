"""What the Router remembers, as SQLite tables."""

TABLES = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    client_ref TEXT NOT NULL,
    caller TEXT NOT NULL,
    body_digest TEXT NOT NULL,
    user TEXT NOT NULL,
    team TEXT NOT NULL,
    job_name TEXT NOT NULL,
    operation TEXT NOT NULL,
    program TEXT NOT NULL,
    model TEXT,
    dataset TEXT NOT NULL,
    preprocessor TEXT NOT NULL,
    params TEXT NOT NULL,
    labels TEXT NOT NULL,
    market_status TEXT NOT NULL,
    created TEXT NOT NULL,
    submitted TEXT,
    queued TEXT,
    started TEXT,
    finished TEXT,
    queue TEXT NOT NULL DEFAULT '[]',
    reason TEXT,
    error TEXT NOT NULL DEFAULT '',
    error_code INTEGER,
    result TEXT NOT NULL DEFAULT 'null',
    made TEXT NOT NULL DEFAULT '[]',
    UNIQUE (caller, client_ref)
);
CREATE INDEX IF NOT EXISTS unfinished_jobs ON jobs (market_status) WHERE market_status IN ('queue', 'perm');

CREATE TABLE IF NOT EXISTS viewers (
    team TEXT NOT NULL,
    job_id TEXT NOT NULL,
    PRIMARY KEY (team, job_id)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS stream_readers (
    job_id TEXT NOT NULL,
    team TEXT NOT NULL,
    UNIQUE (job_id, team)
);

CREATE TABLE IF NOT EXISTS parties (
    job_id TEXT NOT NULL,
    team TEXT NOT NULL,
    state TEXT NOT NULL,
    communications INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (job_id, team)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS busy_parties ON parties (team) WHERE state IN ('ordered', 'running');

CREATE TABLE IF NOT EXISTS actors (
    job_id TEXT PRIMARY KEY,
    user TEXT NOT NULL,
    team TEXT NOT NULL,
    client_ref TEXT
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS stops (
    job_id TEXT PRIMARY KEY,
    wanted TEXT NOT NULL,
    since TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS stop_answers (
    job_id TEXT NOT NULL,
    team TEXT NOT NULL,
    answer TEXT NOT NULL,
    heard TEXT NOT NULL,
    PRIMARY KEY (job_id, team)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS assets (
    id TEXT PRIMARY KEY,
    team TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    columns TEXT NOT NULL DEFAULT '[]',
    records INTEGER,
    ready INTEGER NOT NULL,
    job_id TEXT,
    created TEXT NOT NULL,
    UNIQUE (team, name)
);

CREATE TABLE IF NOT EXISTS temporary_assets (
    asset_id TEXT PRIMARY KEY
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS temporary_uses (
    asset_id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    PRIMARY KEY (asset_id, job_id)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS former_assets (
    id TEXT PRIMARY KEY,
    team TEXT NOT NULL,
    name TEXT NOT NULL
) WITHOUT ROWID;

CREATE VIEW IF NOT EXISTS asset_names AS
    SELECT id, team || '/' || name AS alias FROM assets
    UNION ALL SELECT id, team || '/' || name FROM former_assets;

CREATE TABLE IF NOT EXISTS agreements (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    team TEXT NOT NULL,
    to_team TEXT NOT NULL,
    asset_id TEXT,
    expiration TEXT,
    run_limit INTEGER,
    runs INTEGER NOT NULL DEFAULT 0,
    algorithm TEXT,
    algorithm_security TEXT,
    protocol TEXT,
    created TEXT NOT NULL,
    created_by TEXT NOT NULL,
    ended TEXT,
    ended_by TEXT
);
CREATE INDEX IF NOT EXISTS agreements_of_receivers ON agreements (to_team) WHERE ended IS NULL;

CREATE TABLE IF NOT EXISTS agreement_runs (
    agreement_id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    PRIMARY KEY (agreement_id, job_id)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS requests (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    asset_id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    owner_team TEXT NOT NULL,
    since TEXT NOT NULL,
    state TEXT NOT NULL,
    decided_by TEXT,
    decided_at TEXT,
    reason TEXT,
    UNIQUE (asset_id, job_id)
);
CREATE INDEX IF NOT EXISTS requests_of_jobs ON requests (job_id);

CREATE TABLE IF NOT EXISTS changes (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL,
    changed TEXT NOT NULL,
    document BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS changes_of_jobs ON changes (job_id, sequence);

CREATE TABLE IF NOT EXISTS orders (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    team TEXT NOT NULL,
    document BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS orders_of_teams ON orders (team, sequence);

CREATE TABLE IF NOT EXISTS heard (
    team TEXT NOT NULL,
    epoch TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (team, epoch)
) WITHOUT ROWID;
"""
