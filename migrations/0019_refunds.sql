-- Tokens given back for what was sent and did not arrive: whom, and how many of each batch.

ALTER TABLE accounts ADD COLUMN refund_failed boolean;
COMMENT ON COLUMN accounts.refund_failed IS 'Whether failed delivery reports give tokens back; NULL: as REFUND_FAILED_REPORTS says.';

ALTER TABLE batches ADD COLUMN refunded int NOT NULL DEFAULT 0,
    ADD CONSTRAINT batches_refunded CHECK (refunded BETWEEN 0 AND captured);
COMMENT ON COLUMN batches.refunded IS 'Tokens captured and given back because a report said failed or expired.';
