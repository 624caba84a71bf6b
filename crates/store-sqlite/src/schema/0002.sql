-- Keys with a role, an end, a rate, a former secret and a last use. made_by is null for the server's own.
ALTER TABLE key ADD COLUMN role TEXT NOT NULL DEFAULT 'admin';
ALTER TABLE key ADD COLUMN expires INTEGER;
ALTER TABLE key ADD COLUMN rate_per_second INTEGER;
ALTER TABLE key ADD COLUMN rate_burst INTEGER;
ALTER TABLE key ADD COLUMN made_by INTEGER;
ALTER TABLE key ADD COLUMN former BLOB;
ALTER TABLE key ADD COLUMN former_until INTEGER;
ALTER TABLE key ADD COLUMN used_at INTEGER;
ALTER TABLE key ADD COLUMN used_from TEXT;
CREATE INDEX key_tenant ON key (tenant);
CREATE UNIQUE INDEX key_former ON key (former) WHERE former IS NOT NULL;

-- The audit log. key_tenant is null for an operator's key. ended and status are null until the outcome is known.
-- A tenant's number and name stay when the tenant is gone.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY, at INTEGER NOT NULL, key INTEGER NOT NULL, label TEXT NOT NULL, key_tenant INTEGER,
    role TEXT NOT NULL, operation TEXT NOT NULL, target TEXT NOT NULL, tenant INTEGER, tenant_name TEXT,
    request TEXT NOT NULL, origin TEXT NOT NULL, ended INTEGER, status INTEGER
) STRICT;
CREATE INDEX audit_tenant ON audit (tenant) WHERE tenant IS NOT NULL;
-- Lines are only added: one without an end gets it, and nothing else is ever changed, whatever the program does.
CREATE TRIGGER audit_only_grows BEFORE UPDATE ON audit WHEN
    OLD.status IS NOT NULL OR (OLD.tenant IS NOT NULL AND OLD.tenant IS NOT NEW.tenant)
    OR (OLD.id, OLD.at, OLD.key, OLD.label, OLD.key_tenant, OLD.role, OLD.operation, OLD.target, OLD.request, OLD.origin)
    IS NOT (NEW.id, NEW.at, NEW.key, NEW.label, NEW.key_tenant, NEW.role, NEW.operation, NEW.target, NEW.request,
            NEW.origin)
BEGIN
    SELECT RAISE(ABORT, 'a line of the audit log is never changed');
END
