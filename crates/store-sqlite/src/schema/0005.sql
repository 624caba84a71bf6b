-- Webhooks with a state: disabled is JSON or its null, failing_since the first failure since the last success. Secrets
-- are objects now, each with its times.
ALTER TABLE webhook ADD COLUMN disabled TEXT NOT NULL DEFAULT 'null';
ALTER TABLE webhook ADD COLUMN failing_since INTEGER;
UPDATE webhook SET disabled =
    json_object('reason', 'operator', 'at', strftime('%Y-%m-%dT%H:%M:%SZ', created / 1000, 'unixepoch'))
    WHERE json_extract(spec, '$.enabled') = 0;
UPDATE webhook SET
    spec = json_remove(spec, '$.enabled'),
    secrets = (SELECT json_group_array(json_object('text', value,
        'created', strftime('%Y-%m-%dT%H:%M:%SZ', webhook.created / 1000, 'unixepoch'), 'expires', NULL))
        FROM json_each(webhook.secrets));
-- The delivery log is asked for by webhook: see hour.sql.
CREATE INDEX delivery_webhook ON delivery (webhook);
