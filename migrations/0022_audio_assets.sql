-- Audio assets: the files of sound that accounts have for their voice campaigns.

CREATE TABLE audio_assets (
    id bigint PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES accounts,
    sha256 bytea NOT NULL CONSTRAINT audio_assets_sha256 CHECK (octet_length(sha256) = 32),
    kind text NOT NULL CONSTRAINT audio_assets_kind_word CHECK (kind IN ('wav', 'mp3')),
    name text NOT NULL CONSTRAINT audio_assets_name CHECK (octet_length(name) BETWEEN 1 AND 100),
    bytes bigint NOT NULL CONSTRAINT audio_assets_bytes CHECK (bytes > 0),
    duration_ms bigint NOT NULL CONSTRAINT audio_assets_duration CHECK (duration_ms > 0),
    sample_rate int NOT NULL CONSTRAINT audio_assets_sample_rate CHECK (sample_rate > 0),
    channels int NOT NULL CONSTRAINT audio_assets_channels CHECK (channels > 0),
    created_at timestamptz NOT NULL,
    CONSTRAINT audio_assets_once UNIQUE (account_id, sha256)
);
CREATE INDEX audio_assets_by_account ON audio_assets (account_id, id DESC);
CREATE INDEX audio_assets_by_file ON audio_assets (sha256);
COMMENT ON TABLE audio_assets IS 'A file that an account has: its bytes are in AUDIO_FOLDER under their hash, once for all accounts.';
COMMENT ON COLUMN audio_assets.name IS 'As it was sent, without folders; for people only.';
