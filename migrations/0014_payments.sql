-- Payments: what an account wants to buy, each try to pay for it, and all that a payment provider tells of it.

CREATE TABLE purchases (
    id bigint PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES accounts,
    reference text NOT NULL CONSTRAINT purchases_reference_key UNIQUE
        CONSTRAINT purchases_reference_form CHECK (reference ~ '^TK[0-9]{8,10}$'), -- printed in the payer's SMS
    plan text NOT NULL REFERENCES plans,
    tokens bigint NOT NULL CONSTRAINT purchases_tokens CHECK (tokens > 0),
    valid_days int NOT NULL CONSTRAINT purchases_valid_days CHECK (valid_days > 0),
    amount_minor bigint NOT NULL CONSTRAINT purchases_amount CHECK (amount_minor >= 0),
    currency char(3) NOT NULL,
    status text NOT NULL CONSTRAINT purchases_status_word CHECK (status IN ('open', 'paid', 'reversed')),
    created_at timestamptz NOT NULL DEFAULT now(),
    paid_at timestamptz
);
CREATE INDEX purchases_by_account ON purchases (account_id, id DESC);
COMMENT ON TABLE purchases IS 'A plan that an account buys, on the terms of then. Paid once, by whichever of its payments succeeds.';

CREATE TABLE payments (
    id bigint PRIMARY KEY,
    purchase_id bigint NOT NULL REFERENCES purchases,
    account_id bigint NOT NULL REFERENCES accounts,
    provider text NOT NULL CONSTRAINT payments_provider_word CHECK (provider IN ('mpesa')),
    msisdn bigint NOT NULL,                  -- whose phone is asked
    amount_minor bigint NOT NULL CONSTRAINT payments_amount CHECK (amount_minor > 0),
    currency char(3) NOT NULL,
    status text NOT NULL CONSTRAINT payments_status_word CHECK (status IN (
        'requested',                         -- nothing was asked of the provider yet
        'pushing',                           -- claimed: the push may have left
        'push_unknown',                      -- it left and its answer is lost: never pushed again
        'prompted',                          -- the provider accepted it: the payer sees a prompt
        'unresolved',                        -- nobody could say in time; late word still counts
        'failed',                            -- the provider said so; a later success still counts
        'paid',                              -- credited
        'reversed')),                        -- credited, and paid back
    reason text,                             -- a stable word for why it is not paid
    detail text,                             -- for people
    secret_hash bytea CONSTRAINT payments_secret_key UNIQUE, -- SHA-256 of the secret in its callback's address
    merchant_request text,
    checkout_request text CONSTRAINT payments_checkout_key UNIQUE,
    receipt text CONSTRAINT payments_receipt_key UNIQUE,
    queries int NOT NULL DEFAULT 0,
    next_query_at timestamptz,               -- NULL: not to be asked about
    created_at timestamptz NOT NULL DEFAULT now(),
    pushed_at timestamptz,
    ended_at timestamptz,
    untold_at timestamptz                    -- since when a change waits to be told by settle-payment
);
CREATE INDEX payments_untold ON payments (untold_at) WHERE untold_at IS NOT NULL;
CREATE INDEX payments_by_purchase ON payments (purchase_id, id);
CREATE INDEX payments_by_account ON payments (account_id, id DESC);
CREATE INDEX payments_to_query ON payments (next_query_at) WHERE next_query_at IS NOT NULL;
COMMENT ON TABLE payments IS 'One try to pay a purchase. What failed may be tried again: that is another row.';

CREATE TABLE payment_callbacks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    origin text NOT NULL CONSTRAINT payment_callbacks_once UNIQUE, -- the message that brought it
    provider text NOT NULL,
    kind text NOT NULL,                      -- the address it came to: stk confirmation validation result
    payment_id bigint REFERENCES payments,   -- NULL: nobody's
    body text NOT NULL,
    peer text NOT NULL,
    verdict text NOT NULL,                   -- what became of it: settled known mismatch unknown_secret misread …
    detail text,
    received_at timestamptz NOT NULL
);
CREATE INDEX payment_callbacks_by_payment ON payment_callbacks (payment_id);
COMMENT ON TABLE payment_callbacks IS 'Whatever a payment provider posted, as it came, and what was made of it.';

CREATE TABLE payment_receipts (
    receipt text PRIMARY KEY,                -- the provider's own number of the money's movement
    provider text NOT NULL,
    amount_minor bigint NOT NULL,
    currency char(3) NOT NULL,
    payer text NOT NULL DEFAULT '',          -- as the provider tells it, perhaps masked
    bill_reference text NOT NULL DEFAULT '', -- what the payer typed
    source text NOT NULL CONSTRAINT payment_receipts_source_word CHECK (source IN ('stk', 'confirmation', 'statement', 'operator')),
    status text NOT NULL CONSTRAINT payment_receipts_status_word CHECK (status IN (
        'credited', 'unmatched', 'differs', 'reversing', 'reversed')),
    payment_id bigint REFERENCES payments,
    purchase_id bigint REFERENCES purchases,
    paid_at timestamptz,                     -- by the provider's clock
    noted_at timestamptz NOT NULL DEFAULT now(),
    why text                                 -- of what is not credited, for people
);
CREATE INDEX payment_receipts_open ON payment_receipts (noted_at) WHERE status IN ('unmatched', 'differs');
COMMENT ON TABLE payment_receipts IS 'Money that came. Each receipt is credited at most once; what nobody could match is work for a person.';

CREATE TABLE payment_reversals (
    receipt text PRIMARY KEY REFERENCES payment_receipts,
    provider text NOT NULL,
    status text NOT NULL CONSTRAINT payment_reversals_status_word CHECK (status IN (
        'requested',                         -- the provider is to be asked
        'asking',                            -- claimed: it may have been asked; asking again does no harm
        'asked',                             -- it took the request, and tells the result later
        'done', 'failed',
        'unresolved')),                      -- asked often enough, and no word came
    was text NOT NULL,                       -- the receipt's status, to which it returns if this fails
    round int NOT NULL DEFAULT 1,            -- what failed may be wished again
    actor text NOT NULL,
    why text NOT NULL,
    account_id bigint REFERENCES accounts,   -- from which tokens were taken
    tokens bigint NOT NULL CONSTRAINT payment_reversals_tokens CHECK (tokens >= 0),
    reason text,
    detail text,
    own_receipt text,
    secret_hash bytea CONSTRAINT payment_reversals_secret_key UNIQUE,
    asked int NOT NULL DEFAULT 0,
    next_ask_at timestamptz,                 -- NULL: not to be asked
    requested_at timestamptz NOT NULL,
    ended_at timestamptz
);
CREATE INDEX payment_reversals_to_ask ON payment_reversals (next_ask_at) WHERE next_ask_at IS NOT NULL;
COMMENT ON TABLE payment_reversals IS 'Money that somebody decided to give back to its payer, and what became of that.';
