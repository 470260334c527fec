-- What the provider tells us afterwards and does not fit a recipient at once.

CREATE TABLE unmatched_reports (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider_id text NOT NULL,
    msisdn bigint,
    status text NOT NULL,
    network text NOT NULL DEFAULT '',
    reason text NOT NULL DEFAULT '',
    received_at timestamptz NOT NULL,
    tries int NOT NULL DEFAULT 0,
    next_try_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT unmatched_reports_once UNIQUE (provider_id, status)
);
CREATE INDEX unmatched_reports_due ON unmatched_reports (next_try_at);
COMMENT ON TABLE unmatched_reports IS 'Reports that came before the provider''s answer was stored, or whose answer was lost; tried again until they are old.';

CREATE TABLE odd_callbacks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    origin text NOT NULL CONSTRAINT odd_callbacks_once UNIQUE,
    provider text NOT NULL,
    kind text NOT NULL,
    why text NOT NULL,                       -- misread, unknown_status, orphan
    raw text NOT NULL,
    received_at timestamptz NOT NULL
);
COMMENT ON TABLE odd_callbacks IS 'Callbacks nobody could read or place, kept whole for a person.';

CREATE TABLE inbound_messages (
    id bigint PRIMARY KEY,
    provider text NOT NULL,
    provider_id text NOT NULL,
    sender text NOT NULL,
    recipient text NOT NULL,
    text text NOT NULL,
    link_id text NOT NULL DEFAULT '',
    network text NOT NULL DEFAULT '',
    provider_date text NOT NULL DEFAULT '',
    received_at timestamptz NOT NULL,
    CONSTRAINT inbound_messages_once UNIQUE (provider, provider_id)
);
COMMENT ON TABLE inbound_messages IS 'SMS that came in, once each.';
