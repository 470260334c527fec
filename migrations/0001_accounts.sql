-- Accounts, their people and keys: who may use the platform, and how they prove it.

CREATE TABLE accounts (
    id bigint PRIMARY KEY,
    slug text NOT NULL CONSTRAINT accounts_slug_key UNIQUE
        CONSTRAINT accounts_slug_form CHECK (slug ~ '^[a-z0-9][a-z0-9-]{0,30}$'),
    name text NOT NULL,
    email text NOT NULL CONSTRAINT accounts_email_key UNIQUE,
    country char(2) NOT NULL DEFAULT 'KE',   -- for phone numbers written without a country code
    status text NOT NULL DEFAULT 'active'
        CONSTRAINT accounts_status_word CHECK (status IN ('active', 'suspended', 'closed')),
    default_sender text,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE accounts IS 'A customer. The slug is its name in AMQP exchanges, logs and events.';

CREATE TABLE api_keys (
    id bigint PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES accounts,
    name text NOT NULL,
    hash bytea NOT NULL CONSTRAINT api_keys_hash_key UNIQUE,
    prefix text NOT NULL,
    scopes text[] NOT NULL
        CONSTRAINT api_keys_scopes_words CHECK (scopes <@ ARRAY['read', 'send', 'admin'] AND cardinality(scopes) > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz
);
COMMENT ON TABLE api_keys IS 'Bearer keys. Only the SHA-256 of a key is stored; prefix is its first letters, to recognise it by.';

CREATE TABLE sender_ids (
    account_id bigint REFERENCES accounts,   -- NULL: shared by all accounts
    sender text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT sender_ids_key UNIQUE NULLS NOT DISTINCT (account_id, sender)
);
COMMENT ON TABLE sender_ids IS 'Sender IDs an account may use. A campaign with another one is refused.';

CREATE TABLE suppressions (
    account_id bigint REFERENCES accounts,   -- NULL: for the whole platform
    msisdn bigint NOT NULL,
    reason text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT suppressions_key UNIQUE NULLS NOT DISTINCT (msisdn, account_id)
);
COMMENT ON TABLE suppressions IS 'Numbers that must not be sent to: opt-outs and the networks'' own blacklists.';

CREATE TABLE idempotency_keys (
    account_id bigint NOT NULL REFERENCES accounts,
    key text NOT NULL,
    request_hash bytea NOT NULL,             -- of method, path and body: the same key with another request is refused
    status int,                              -- NULL while the first request is under way
    body text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (account_id, key)
);
COMMENT ON TABLE idempotency_keys IS 'What was answered to a POST with an Idempotency-Key; kept for 24 hours.';
