-- Requests that tenant code sends, and their bytes both ways. The tables of the hours there are get theirs at every start:
-- see `complete_hours`.
ALTER TABLE usage_sum ADD COLUMN fetches INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_sum ADD COLUMN egress_bytes INTEGER NOT NULL DEFAULT 0;
