-- Campaigns that wait for tokens: since when, and who waits in which account.

ALTER TABLE campaigns ADD COLUMN waiting_since timestamptz;
COMMENT ON COLUMN campaigns.waiting_since IS 'When it first lacked tokens; NULL unless it still does.';
UPDATE campaigns SET waiting_since = now() WHERE status = 'insufficient_tokens';
CREATE INDEX campaigns_waiting ON campaigns (account_id, id) WHERE status = 'insufficient_tokens';
