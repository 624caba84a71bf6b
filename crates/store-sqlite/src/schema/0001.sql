-- The tables that stay. History lives in one set of tables per hour: see hour.sql.
--
-- The rule of the layout: a row on the path of every event (event, live, attempt, invocation, outbox) is written once
-- at the end of its table, in id order, and has no index but its id: a second one costs as much as the whole life
-- cycle. So:
-- - what is only read with the row joins it as a column at the end of the plain ones, before the bodies; null costs a
--   byte, a table of its own a whole insert (1 us). What several rows of one commit would repeat goes into one blob;
-- - what must be found otherwise is found by a bounded scan backwards, by an index made when the hour is over, or from
--   memory that is rebuilt at open;
-- - what happens seldom (registry, retries, dead letters, upkeep) may have indexes and JSON as it likes;
-- - a body is the last column of its row: a blob, or past 16 KiB the number of a file (table body).

-- key: ledger_mark (every attempt up to it is in usage_sum), minted (greatest id given to a registry row).
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- The hours (since 1970) that have tables. sealed: how many of the hour's tables have their index.
CREATE TABLE partition (hour INTEGER PRIMARY KEY, sealed INTEGER NOT NULL DEFAULT 0) STRICT;

CREATE TABLE shard (shard INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, node INTEGER NOT NULL) STRICT;

-- Invocations that wait or run, in id order and without a second index: every life cycle writes here twice.
-- state: the model's code. claimed: when the last attempt started. attempts: 8 bytes each, big-endian, oldest first.
-- event is null for a synchronous invoke. retry is null, or see row.rs.
CREATE TABLE live (
    id INTEGER PRIMARY KEY, tenant INTEGER NOT NULL, function INTEGER NOT NULL, event INTEGER,
    state INTEGER NOT NULL, due INTEGER NOT NULL, starts INTEGER NOT NULL, failed INTEGER NOT NULL,
    crashed INTEGER NOT NULL, depth INTEGER NOT NULL, claimed INTEGER, attempts BLOB, retry BLOB
);

CREATE TABLE dead_letter (
    tenant INTEGER NOT NULL, id INTEGER NOT NULL, function INTEGER NOT NULL, event INTEGER,
    reason INTEGER NOT NULL, due INTEGER NOT NULL, starts INTEGER NOT NULL, failed INTEGER NOT NULL,
    crashed INTEGER NOT NULL, depth INTEGER NOT NULL, ended INTEGER NOT NULL, attempts BLOB, retry BLOB,
    PRIMARY KEY (tenant, id)
) WITHOUT ROWID;

-- Results that are settled and not yet published: the invocation as it was then, and its last attempt.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY, invocation INTEGER NOT NULL, tenant INTEGER NOT NULL, function INTEGER NOT NULL,
    event INTEGER, state INTEGER NOT NULL, reason INTEGER, due INTEGER NOT NULL, starts INTEGER NOT NULL,
    failed INTEGER NOT NULL, ended INTEGER, depth INTEGER NOT NULL, attempt INTEGER
);

-- Deliveries that wait for their (next) try; tries: JSON.
CREATE TABLE delivery (
    id INTEGER PRIMARY KEY, webhook TEXT NOT NULL, event INTEGER NOT NULL, tenant INTEGER, due INTEGER NOT NULL,
    tries TEXT NOT NULL
);

-- A cache of the attempt rows: the sums of those with an id up to `upto`. hour: milliseconds, its start.
-- Counters are 64 bits unsigned, stored as the signed number of the same bits.
CREATE TABLE usage_sum (
    tenant INTEGER NOT NULL, hour INTEGER NOT NULL, function INTEGER NOT NULL, upto INTEGER NOT NULL,
    attempts INTEGER NOT NULL, succeeded INTEGER NOT NULL, failed INTEGER NOT NULL, wall_us INTEGER NOT NULL,
    cpu_us INTEGER NOT NULL, memory_peak_bytes INTEGER NOT NULL, gb_us INTEGER NOT NULL, bytes_in INTEGER NOT NULL,
    bytes_out INTEGER NOT NULL,
    PRIMARY KEY (tenant, hour, function)
) STRICT, WITHOUT ROWID;

-- The registry. Specs and configurations are JSON.
CREATE TABLE tenant (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, spec TEXT NOT NULL, created INTEGER NOT NULL
) STRICT;
CREATE TABLE function (
    id INTEGER PRIMARY KEY, tenant INTEGER NOT NULL, name TEXT NOT NULL, config TEXT NOT NULL, quarantined TEXT,
    created INTEGER NOT NULL, UNIQUE (tenant, name)
) STRICT;
CREATE TABLE version (
    function INTEGER NOT NULL, number INTEGER NOT NULL, config TEXT NOT NULL, package BLOB NOT NULL,
    package_bytes INTEGER NOT NULL, image BLOB NOT NULL, engine_hash TEXT NOT NULL, layers TEXT NOT NULL,
    created INTEGER NOT NULL, PRIMARY KEY (function, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE alias (
    function INTEGER NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (function, name)
) STRICT, WITHOUT ROWID;
-- owner 0: the operator's.
CREATE TABLE rule (
    id INTEGER PRIMARY KEY, owner INTEGER NOT NULL, name TEXT NOT NULL, spec TEXT NOT NULL, changed INTEGER NOT NULL,
    UNIQUE (owner, name)
) STRICT;
CREATE TABLE webhook (
    name TEXT PRIMARY KEY, spec TEXT NOT NULL, secrets TEXT NOT NULL, created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE layer (
    name TEXT NOT NULL, number INTEGER NOT NULL, package BLOB NOT NULL, created INTEGER NOT NULL,
    PRIMARY KEY (name, number)
) STRICT, WITHOUT ROWID;
-- tenant is null for the operator's.
CREATE TABLE key (
    id INTEGER PRIMARY KEY, tenant INTEGER, label TEXT NOT NULL, hash BLOB NOT NULL UNIQUE, created INTEGER NOT NULL
) STRICT;
