-- A layer's current version is what new versions of functions take; former is the one that was current before it.
ALTER TABLE layer ADD COLUMN former INTEGER;
UPDATE layer SET former = number - 1 WHERE number > 1;
CREATE TABLE layer_current (name TEXT PRIMARY KEY, number INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO layer_current SELECT name, max(number) FROM layer GROUP BY name;
-- A version of a layer on its way into functions. state: RolloutState's text.
CREATE TABLE rollout (
    layer TEXT NOT NULL, version INTEGER NOT NULL, state TEXT NOT NULL, total INTEGER NOT NULL, started INTEGER NOT NULL,
    ended INTEGER, PRIMARY KEY (layer, version)
) STRICT, WITHOUT ROWID;
-- One function's part. live: the version that was live. made: the version that the step made; error: why there is none;
-- both null: passed over. back: 1 when live was restored, 0 when it was kept, null before the way back.
CREATE TABLE rollout_step (
    layer TEXT NOT NULL, version INTEGER NOT NULL, function INTEGER NOT NULL, tenant INTEGER NOT NULL,
    live INTEGER NOT NULL, made INTEGER, error TEXT, back INTEGER, PRIMARY KEY (layer, version, function)
) STRICT, WITHOUT ROWID;
-- stopped and quarantined: JSON.
ALTER TABLE function ADD COLUMN stopped TEXT;
UPDATE function SET quarantined = json_object('reason', quarantined, 'cause', 'crashes', 'count', 3, 'of', 3,
    'first', NULL, 'last', NULL, 'at', '1970-01-01T00:00:00Z') WHERE quarantined IS NOT NULL;
