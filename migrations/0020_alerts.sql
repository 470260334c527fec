-- Alerts: what an account, or the operator, should hear of before it hurts.

ALTER TABLE accounts ADD COLUMN low_balance bigint
    CONSTRAINT accounts_low_balance CHECK (low_balance >= 0);
COMMENT ON COLUMN accounts.low_balance IS 'With fewer tokens it is alerted; 0: never; NULL: as ALERT_LOW_BALANCE says.';

CREATE TABLE alerts (
    id bigint PRIMARY KEY,
    account_id bigint REFERENCES accounts,   -- NULL: for operators
    kind text NOT NULL CONSTRAINT alerts_kind_word CHECK (kind IN (
        'low_balance', 'lot_expiring', 'unusual_spend', 'provider_credit_low')),
    day date NOT NULL,                       -- UTC
    value bigint NOT NULL,                   -- what was found: tokens, or ten-thousandths of the currency
    threshold bigint,                        -- what it was held against; NULL: nothing
    expires_at timestamptz,                  -- of a lot that expires: when the first does
    currency char(3),                        -- of the provider's credit
    created_at timestamptz NOT NULL,
    untold_at timestamptz,                   -- NULL once reserve-tokens has told so
    CONSTRAINT alerts_once UNIQUE NULLS NOT DISTINCT (account_id, kind, day)
);
CREATE INDEX alerts_by_account ON alerts (account_id, id DESC);
CREATE INDEX alerts_untold ON alerts (id) WHERE untold_at IS NOT NULL;
COMMENT ON TABLE alerts IS 'Each kind at most once a day for an account.';

CREATE TABLE provider_credit (
    provider text PRIMARY KEY,
    asked_at timestamptz NOT NULL,           -- claimed: one worker asks, the others do not
    balance_e4 bigint,                       -- ten-thousandths of the currency; NULL: no answer so far
    currency char(3),
    answered_at timestamptz
);
COMMENT ON TABLE provider_credit IS 'What a provider said of our credit when it was last asked.';
