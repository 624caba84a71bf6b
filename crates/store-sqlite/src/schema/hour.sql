-- The tables of one hour: append-only, in id order; an id belongs to the hour it was minted in.
-- Bodies come last, so that a scan over the columns before them need not read them. One of over 16 KiB is a file of its
-- own, and its column the file's number (see body/).
-- status: see row.rs. identity: 16 bytes of key and 8 of body, or null. links: what the event led to, and the trace it
-- belongs to (see row.rs).
-- foreign_tenants: 1 when it led to an invocation of another tenant than its own, else null.
CREATE TABLE IF NOT EXISTS event_{hour} (
    id INTEGER PRIMARY KEY, tenant INTEGER, foreign_tenants INTEGER, status INTEGER NOT NULL, depth INTEGER NOT NULL,
    identity BLOB, links BLOB, trace BLOB NOT NULL, body BLOB NOT NULL
);
-- What a transformer made of an event for one invocation or delivery, whose id it has. tenant: the event's.
CREATE TABLE IF NOT EXISTS input_{hour} (id INTEGER PRIMARY KEY, tenant INTEGER, body BLOB NOT NULL);
-- wall_us to bytes_out, fetches and egress_bytes: as in usage_sum. Result, failure and fetch_log (JSON) are null when there
-- is none, instructions when they were not counted.
CREATE TABLE IF NOT EXISTS attempt_{hour} (
    id INTEGER PRIMARY KEY, tenant INTEGER NOT NULL, function INTEGER NOT NULL, invocation INTEGER NOT NULL,
    number INTEGER NOT NULL, version INTEGER NOT NULL, outcome INTEGER NOT NULL, started INTEGER NOT NULL,
    ended INTEGER NOT NULL, wall_us INTEGER NOT NULL, cpu_us INTEGER NOT NULL, memory_peak_bytes INTEGER NOT NULL,
    memory_limit_bytes INTEGER NOT NULL, bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL,
    fetches INTEGER NOT NULL DEFAULT 0, egress_bytes INTEGER NOT NULL DEFAULT 0, instructions INTEGER,
    result BLOB, failure BLOB, log BLOB, fetch_log BLOB
);
-- Invocations that ended, but for dead letters.
CREATE TABLE IF NOT EXISTS invocation_{hour} (
    id INTEGER PRIMARY KEY, tenant INTEGER NOT NULL, function INTEGER NOT NULL, event INTEGER, state INTEGER NOT NULL,
    reason INTEGER, due INTEGER NOT NULL, starts INTEGER NOT NULL, failed INTEGER NOT NULL, ended INTEGER NOT NULL,
    attempts BLOB
);
-- state: 1 delivered, 2 failed. tries: JSON, see delivery/tries.rs.
CREATE TABLE IF NOT EXISTS delivery_{hour} (
    id INTEGER PRIMARY KEY, webhook TEXT NOT NULL, event INTEGER NOT NULL, tenant INTEGER, state INTEGER NOT NULL,
    due INTEGER NOT NULL, tries TEXT NOT NULL
);
-- Messages that ended, but for dead ones. state: see message/mod.rs.
CREATE TABLE IF NOT EXISTS message_{hour} (
    id INTEGER PRIMARY KEY, queue INTEGER NOT NULL, event INTEGER NOT NULL, tenant INTEGER, state INTEGER NOT NULL,
    due INTEGER NOT NULL, receives INTEGER NOT NULL, tries INTEGER NOT NULL, ended INTEGER NOT NULL, origin TEXT
);
-- The delivery log is asked for by webhook. From birth, unlike the others': webhooks are few, so it grows at a handful of
-- hot pages, and beside what a delivery costs (a POST) its insert (1 us with ten webhooks, 6 with a thousand) is little.
CREATE INDEX IF NOT EXISTS delivery_{hour}_webhook ON delivery_{hour} (webhook, state);
