-- What tokens went for: what usage and insights are read from, and transfers that somebody has still to be told of.

-- Use by time, without a look at the entries themselves. Also what an account gave away within a day.
CREATE INDEX ledger_entries_by_time ON ledger_entries (account_id, kind, created_at) INCLUDE (amount, hold_id);

ALTER TABLE campaigns
    ADD COLUMN just_over bigint NOT NULL DEFAULT 0, -- recipients whose text is 1 to 10 units longer than one segment less holds
    ADD COLUMN counted_seq int NOT NULL DEFAULT 0,  -- recipients up to here are in network_usage
    ADD COLUMN counted_at timestamptz;              -- all of them are
CREATE INDEX campaigns_uncounted ON campaigns (account_id, id) WHERE counted_at IS NULL AND started_at IS NOT NULL;
COMMENT ON COLUMN campaigns.counted_at IS 'Once a campaign is over, reconcile-dlr counts it by network, some thousand recipients at '
    'a time, so that nobody who asks has to walk over its recipients. Reports later than that change nothing here.';

CREATE TABLE network_usage (
    account_id bigint NOT NULL REFERENCES accounts,
    day date NOT NULL,                       -- of sending, UTC
    campaign_id bigint NOT NULL,
    network int NOT NULL,                    -- MCC and MNC; 0: no report named one
    recipients bigint NOT NULL,              -- whom the provider accepted
    tokens bigint NOT NULL,                  -- captured for them
    delivered bigint NOT NULL,
    failed bigint NOT NULL,                  -- accepted, and never delivered
    failed_tokens bigint NOT NULL,
    CONSTRAINT network_usage_pkey PRIMARY KEY (account_id, day, campaign_id, network)
);
COMMENT ON TABLE network_usage IS 'Campaigns that are over, by day and network.';

CREATE TABLE untold_transfers (
    reference text NOT NULL,
    from_id bigint NOT NULL REFERENCES accounts,
    to_id bigint NOT NULL REFERENCES accounts,
    tokens bigint NOT NULL,
    reason text,
    actor text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT untold_transfers_pkey PRIMARY KEY (from_id, reference)
);
COMMENT ON TABLE untold_transfers IS 'Transfers whose events are still to be told: reserve-tokens does, confirmed, and takes them away.';
