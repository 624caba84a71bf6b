-- Bodies that are files of their own (body/): their column holds the id. sum: SHA-256. tenant is null for an event of an
-- unknown one.
CREATE TABLE body (
    id INTEGER PRIMARY KEY, hour INTEGER NOT NULL, tenant INTEGER, bytes INTEGER NOT NULL, sum BLOB NOT NULL
) STRICT;
CREATE INDEX body_hour ON body (hour);
CREATE INDEX body_tenant ON body (tenant) WHERE tenant IS NOT NULL;
