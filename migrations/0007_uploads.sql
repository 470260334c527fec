-- How long an upload counts as under way.

ALTER TABLE campaigns ADD COLUMN receiving_until timestamptz;
COMMENT ON COLUMN campaigns.receiving_until IS 'While an upload comes in: when it counts as broken off, put off by each piece of it. '
    'NULL once it came whole, and for campaigns that are not uploads.';
