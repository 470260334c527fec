-- Campaigns, what arrives of them, their recipients and batches.

-- The states of a recipient as stored. 'sending', 'cancelled' and 'expired' of recipients that never
-- left are not stored but follow from the batch's claim and the campaign's end: see recipient_states.
CREATE TABLE recipient_state_words (
    state smallint PRIMARY KEY,
    word text NOT NULL UNIQUE,
    final boolean NOT NULL
);
INSERT INTO recipient_state_words VALUES
    (0, 'pending', false), (1, 'sending', false), (2, 'in_doubt', false), (3, 'sent', false),
    (4, 'delivered', true), (5, 'failed', true), (6, 'expired', true), (7, 'suppressed', true),
    (8, 'cancelled', true);

CREATE TABLE campaigns (
    id bigint PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES accounts,
    reference text NOT NULL,                 -- the publisher's own name for it; a second one is the same campaign
    kind text NOT NULL DEFAULT 'campaign' CONSTRAINT campaigns_kind_word CHECK (kind IN ('campaign', 'message')),
    channel text NOT NULL DEFAULT 'sms' CONSTRAINT campaigns_channel_word CHECK (channel IN ('sms', 'voice')),
    status text NOT NULL CONSTRAINT campaigns_status_word CHECK (status IN (
        'receiving', 'quoted', 'reserving', 'insufficient_tokens', 'scheduled', 'sending', 'paused',
        'cancelling', 'cancelled', 'expired', 'refused', 'abandoned', 'sent', 'completed')),
    detail text,                             -- why, for people
    title text NOT NULL,
    message_template text NOT NULL,
    text text,                               -- the one text of all recipients, when it has no fields
    sender_id text NOT NULL DEFAULT '',
    lane text NOT NULL DEFAULT 'normal' CONSTRAINT campaigns_lane_word CHECK (lane IN ('high', 'normal')),
    missing text NOT NULL DEFAULT 'block',
    missing_default text NOT NULL DEFAULT '',
    keep_whitespace boolean NOT NULL DEFAULT false,
    country char(2) NOT NULL,
    hold boolean NOT NULL DEFAULT false,     -- stop at the quote
    scheduled_at timestamptz,
    expires_at timestamptz,
    -- what arrived
    chunks_expected int,                     -- NULL until the campaign is closed
    chunks_done int NOT NULL DEFAULT 0,
    rows_received bigint NOT NULL DEFAULT 0,
    last_seq int NOT NULL DEFAULT 0,         -- the highest row number seen
    invalid bigint NOT NULL DEFAULT 0,
    duplicates bigint NOT NULL DEFAULT 0,
    planned bigint NOT NULL DEFAULT 0,       -- recipients, the suppressed included
    suppressed bigint NOT NULL DEFAULT 0,
    segments bigint NOT NULL DEFAULT 0,      -- of those to be sent: the price in tokens
    -- how far it is cut
    next_seq int NOT NULL DEFAULT 1,
    next_batch int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    rendered_at timestamptz,
    launched_at timestamptz,                 -- when a held one was launched
    reserved_at timestamptz,
    started_at timestamptz,                  -- first batch cut
    sent_at timestamptz,                     -- last batch done
    completed_at timestamptz,
    CONSTRAINT campaigns_reference_key UNIQUE (account_id, reference)
) WITH (fillfactor = 50);
CREATE INDEX campaigns_by_account ON campaigns (account_id, id DESC);
CREATE INDEX campaigns_moving ON campaigns (id)
    WHERE status IN ('receiving', 'reserving', 'insufficient_tokens', 'scheduled', 'sending', 'paused', 'cancelling', 'sent');
COMMENT ON TABLE campaigns IS 'One row per campaign or message: its definition, its status and the sums of what arrived.';

CREATE TABLE campaign_chunks (
    campaign_id bigint NOT NULL,
    chunk int NOT NULL,
    rows int NOT NULL,
    planned int NOT NULL,
    CONSTRAINT campaign_chunks_pkey PRIMARY KEY (campaign_id, chunk)
);
COMMENT ON TABLE campaign_chunks IS 'Chunks of recipients already taken in: a chunk that comes again changes nothing.';

CREATE TABLE campaign_rejects (
    campaign_id bigint NOT NULL,
    seq int NOT NULL,                        -- row number of the input, from 1
    phone text NOT NULL,                     -- as written, cut at 64 bytes
    reason text NOT NULL,
    CONSTRAINT campaign_rejects_pkey PRIMARY KEY (campaign_id, seq)
);
COMMENT ON TABLE campaign_rejects IS 'Rows that became no recipient, each with its reason.';

CREATE TABLE recipients (
    campaign_id bigint NOT NULL,
    msisdn bigint NOT NULL,
    seq int NOT NULL,                        -- row number of the input, from 1
    batch int,                               -- the batch it was sent or given up in
    cost_e4 int,                             -- ten-thousandths of the currency unit
    network int,                             -- MCC and MNC
    state smallint NOT NULL DEFAULT 0,
    segments smallint NOT NULL,
    attempts smallint NOT NULL DEFAULT 0,
    provider_code smallint,
    currency char(3),
    sent_at timestamptz,
    final_at timestamptz,
    provider_id text,
    reason text,
    text text,                               -- NULL: the campaign's
    CONSTRAINT recipients_pkey PRIMARY KEY (campaign_id, seq),
    CONSTRAINT recipients_once UNIQUE (msisdn, campaign_id)
) PARTITION BY RANGE (campaign_id);
COMMENT ON TABLE recipients IS 'One row per recipient. Ids carry their time, so a range of ids is a range of time: old partitions detach. '
    'No index holds a column that changes, so updates stay HOT. recipients_once also finds a delivery report''s recipient by number.';

CREATE TABLE batches (
    campaign_id bigint NOT NULL,
    batch int NOT NULL,
    first_seq int NOT NULL,
    last_seq int NOT NULL,
    origin text NOT NULL,                    -- the message that caused the cut: a redelivery finds its batches again
    pass smallint NOT NULL DEFAULT 1,        -- grows when recipients are to be tried again
    claimed_seq int NOT NULL,                -- rows up to here were handed to the provider in this pass
    recorded_seq int NOT NULL,               -- rows up to here have their outcome
    claim bigint,                            -- who claimed: a random token per worker and pass
    done_at timestamptz,                     -- nothing of it is left to send
    settled_at timestamptz,                  -- every recipient of it is in a final state
    waiting boolean NOT NULL DEFAULT false,  -- set aside while the campaign is paused
    in_flight int NOT NULL DEFAULT 0,        -- claimed and without outcome
    sent int NOT NULL DEFAULT 0,
    delivered int NOT NULL DEFAULT 0,
    failed int NOT NULL DEFAULT 0,
    expired int NOT NULL DEFAULT 0,
    cancelled int NOT NULL DEFAULT 0,
    in_doubt int NOT NULL DEFAULT 0,
    captured int NOT NULL DEFAULT 0,         -- tokens
    released int NOT NULL DEFAULT 0,
    cost_e4 bigint NOT NULL DEFAULT 0,
    started_at timestamptz,                  -- first claim
    CONSTRAINT batches_pkey PRIMARY KEY (campaign_id, batch),
    CONSTRAINT batches_claims CHECK (first_seq - 1 <= recorded_seq AND recorded_seq <= claimed_seq AND claimed_seq <= last_seq)
) WITH (fillfactor = 30);
CREATE UNIQUE INDEX batches_by_seq ON batches (campaign_id, first_seq);
CREATE INDEX batches_by_origin ON batches (campaign_id, origin);
CREATE INDEX batches_open ON batches (campaign_id) WHERE done_at IS NULL;
CREATE INDEX batches_unsettled ON batches (campaign_id) WHERE settled_at IS NULL;
CREATE INDEX batches_in_doubt ON batches (campaign_id) WHERE in_doubt > 0;
COMMENT ON TABLE batches IS 'A range of rows on its way to the provider: how far it is claimed and recorded, and the counts of its outcomes. '
    'The counters live here, not in campaigns, so that workers of one campaign do not wait for each other.';

CREATE TABLE routes (
    name text PRIMARY KEY,                   -- sms
    provider text NOT NULL,
    status text NOT NULL DEFAULT 'open' CONSTRAINT routes_status_word CHECK (status IN ('open', 'held')),
    why text,
    detail text,
    held_at timestamptz,
    held_until timestamptz,                  -- NULL while held: until somebody opens it
    failures int NOT NULL DEFAULT 0          -- in a row, for the circuit breaker
);
INSERT INTO routes (name, provider) VALUES ('sms', 'africastalking');
COMMENT ON TABLE routes IS 'Ways to a provider. A held route sends nothing: credit gone, key rejected, provider down.';
