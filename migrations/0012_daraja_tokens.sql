-- The access token of M-Pesa's API, shared by all processes: a new one may end the one before.

CREATE TABLE daraja_tokens (
    base_url text NOT NULL,
    key_sha256 text NOT NULL,                -- of the consumer key, hexadecimal
    token text,                              -- a secret; NULL when there is none that is believed
    expires_at timestamptz,
    renew_at timestamptz,                    -- from then on it is to be replaced
    refreshing_by text,                      -- who asks for another
    refreshing_until timestamptz,            -- from then on anybody may, who began has died
    refreshes bigint NOT NULL DEFAULT 0,    -- how many were stored
    CONSTRAINT daraja_tokens_pkey PRIMARY KEY (base_url, key_sha256),
    CONSTRAINT daraja_tokens_expire CHECK ((token IS NULL) = (expires_at IS NULL)
                                               AND (token IS NULL) = (renew_at IS NULL)),
    CONSTRAINT daraja_tokens_refresher CHECK ((refreshing_by IS NULL) = (refreshing_until IS NULL))
);
COMMENT ON TABLE daraja_tokens IS 'One row per M-Pesa app and host: its access token, and who is asking for the next one.';
