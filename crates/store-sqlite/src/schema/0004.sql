-- Named queues. put, acked, expired, erased: counted as they happen; what waits, is in flight or dead is rows.
CREATE TABLE queue (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, spec TEXT NOT NULL, created INTEGER NOT NULL,
    put INTEGER NOT NULL, acked INTEGER NOT NULL, expired INTEGER NOT NULL, erased INTEGER NOT NULL
) STRICT;
-- Messages that wait or are in flight, in id order and without a second index: the queues' order is in their reader's
-- memory. leased: 1 once handed out, until it is given back. input is null where it carries its event's envelope. origin: JSON, or null.
CREATE TABLE message (
    id INTEGER PRIMARY KEY, queue INTEGER NOT NULL, event INTEGER NOT NULL, tenant INTEGER, due INTEGER NOT NULL,
    leased INTEGER NOT NULL, receives INTEGER NOT NULL, tries INTEGER NOT NULL, origin TEXT, input BLOB
) STRICT;
-- A queue's dead letters; what they carry is a copy of their own.
CREATE TABLE message_dead (
    queue INTEGER NOT NULL, id INTEGER NOT NULL, event INTEGER NOT NULL, tenant INTEGER, due INTEGER NOT NULL,
    receives INTEGER NOT NULL, tries INTEGER NOT NULL, ended INTEGER NOT NULL, origin TEXT, input BLOB,
    PRIMARY KEY (queue, id)
) STRICT, WITHOUT ROWID;
-- The queue that a delivery is put into besides when it is given up, for those that have one.
CREATE TABLE delivery_dead_letter (delivery INTEGER PRIMARY KEY, queue INTEGER NOT NULL) STRICT;

-- How often each was asked back from the dead letters.
ALTER TABLE live ADD COLUMN redrives INTEGER NOT NULL DEFAULT 0;
ALTER TABLE dead_letter ADD COLUMN redrives INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN redrives INTEGER NOT NULL DEFAULT 0;
