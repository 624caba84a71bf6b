-- Secrets. function 0: the tenant's own. key: the id of the master key that `sealed` opens with; hosts: JSON.
CREATE TABLE secret (
    tenant INTEGER NOT NULL, function INTEGER NOT NULL, name TEXT NOT NULL, key BLOB NOT NULL, sealed BLOB NOT NULL,
    fingerprint BLOB NOT NULL, hosts TEXT NOT NULL, created INTEGER NOT NULL, changed INTEGER NOT NULL,
    PRIMARY KEY (tenant, function, name)
) STRICT, WITHOUT ROWID;
