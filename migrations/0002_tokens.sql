-- Tokens: lots with an expiry, balances guarded by constraints, and an append-only double-entry ledger.
-- One token pays one SMS segment.

CREATE TABLE token_balances (
    account_id bigint CONSTRAINT token_balances_pkey PRIMARY KEY REFERENCES accounts,
    granted bigint NOT NULL DEFAULT 0,
    available bigint NOT NULL DEFAULT 0,
    reserved bigint NOT NULL DEFAULT 0,
    spent bigint NOT NULL DEFAULT 0,
    expired bigint NOT NULL DEFAULT 0,
    transferred bigint NOT NULL DEFAULT 0,   -- net of what went to other accounts
    CONSTRAINT token_balances_no_overdraft CHECK (available >= 0 AND reserved >= 0 AND spent >= 0 AND expired >= 0),
    CONSTRAINT token_balances_add_up CHECK (granted = available + reserved + spent + expired + transferred)
) WITH (fillfactor = 50);
COMMENT ON TABLE token_balances IS 'The account''s sums. Changed only together with a ledger row, in its transaction.';

CREATE TABLE token_lots (
    id bigint PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES accounts,
    granted bigint NOT NULL CONSTRAINT token_lots_granted_positive CHECK (granted > 0),
    available bigint NOT NULL,
    reference text NOT NULL,
    expires_at timestamptz,                  -- NULL: never
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT token_lots_reference_key UNIQUE (account_id, reference),
    CONSTRAINT token_lots_available_bounds CHECK (available BETWEEN 0 AND granted)
);
CREATE INDEX token_lots_spending ON token_lots (account_id, expires_at NULLS LAST, id) WHERE available > 0;
COMMENT ON TABLE token_lots IS 'Tokens as they were granted. The earliest to expire are spent first.';

CREATE TABLE token_holds (
    id bigint PRIMARY KEY,                   -- the campaign's id
    account_id bigint NOT NULL REFERENCES accounts,
    amount bigint NOT NULL CONSTRAINT token_holds_amount_positive CHECK (amount > 0),
    captured bigint NOT NULL DEFAULT 0,
    released bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT token_holds_within CHECK (captured >= 0 AND released >= 0 AND captured + released <= amount)
) WITH (fillfactor = 50);
COMMENT ON TABLE token_holds IS 'What a campaign reserved; every token of it ends captured or released.';

CREATE TABLE token_hold_lots (
    hold_id bigint NOT NULL REFERENCES token_holds,
    lot_id bigint NOT NULL REFERENCES token_lots,
    amount bigint NOT NULL,                  -- taken from the lot and not given back
    CONSTRAINT token_hold_lots_pkey PRIMARY KEY (hold_id, lot_id),
    CONSTRAINT token_hold_lots_amount CHECK (amount >= 0)
);
COMMENT ON TABLE token_hold_lots IS 'Which lots a hold drew from, so that a release goes back where it came from.';

-- The purses of an account: where tokens can be. 'source' and 'peer' lie outside it.
CREATE TABLE ledger_entries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES accounts,
    kind text NOT NULL,                      -- grant hold capture release expire transfer adjust
    debit text NOT NULL,                     -- purse the tokens leave
    credit text NOT NULL,                    -- purse they enter
    amount bigint NOT NULL,
    reference text NOT NULL,                 -- with kind and account: unique, so nothing is booked twice
    hold_id bigint,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ledger_entries_amount_positive CHECK (amount > 0),
    CONSTRAINT ledger_entries_purses CHECK (
        debit IN ('source', 'available', 'reserved', 'spent', 'expired', 'peer')
        AND credit IN ('source', 'available', 'reserved', 'spent', 'expired', 'peer') AND debit <> credit),
    CONSTRAINT ledger_entries_once UNIQUE (account_id, kind, reference)
);
COMMENT ON TABLE ledger_entries IS 'Every movement of tokens, from one purse to another: debits equal credits by form. Append only.';

CREATE FUNCTION ledger_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'ledger_entries is append only' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER ledger_entries_frozen BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();
