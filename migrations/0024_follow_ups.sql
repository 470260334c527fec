-- Follow-ups: a campaign on the other channel for those whom the first did not reach, within one quote and one hold.

ALTER TABLE campaigns
    ADD COLUMN parent_id bigint REFERENCES campaigns,  -- the campaign it follows
    ADD COLUMN follow_words text[],          -- which ends of that one's recipients it is for
    ADD COLUMN follow_seq int NOT NULL DEFAULT 0, -- rows up to here are sorted: whoever was reached is out of it
    ADD COLUMN follow_done boolean NOT NULL DEFAULT false, -- it has begun, or never will
    ADD COLUMN follow_segments bigint NOT NULL DEFAULT 0, -- tokens that its own follow-up may cost; part of its hold
    ADD CONSTRAINT campaigns_one_follow_up UNIQUE (parent_id),
    DROP CONSTRAINT campaigns_status_word,
    ADD CONSTRAINT campaigns_status_word CHECK (status IN (
        'receiving', 'quoted', 'waiting', 'reserving', 'insufficient_tokens', 'scheduled', 'sending', 'paused',
        'cancelling', 'cancelled', 'expired', 'refused', 'abandoned', 'sent', 'completed'));
CREATE INDEX campaigns_following ON campaigns (id) WHERE parent_id IS NOT NULL AND NOT follow_done;
COMMENT ON COLUMN campaigns.parent_id IS 'A follow-up is rendered and priced with the campaign it follows, waits for its end, and then '
    'keeps only the recipients that are meant. Its tokens are held with the first''s and become a hold of its own when it begins.';
