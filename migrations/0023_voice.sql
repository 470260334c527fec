-- Voice: what a voice campaign plays and asks, its batches while calls last, and what became of each call.

ALTER TABLE plans ADD COLUMN tokens_per_minute int NOT NULL DEFAULT 1
    CONSTRAINT plans_tokens_per_minute CHECK (tokens_per_minute BETWEEN 1 AND 100);
COMMENT ON COLUMN plans.tokens_per_minute IS 'What each started minute of a call costs.';

-- Of several plans at once the cheapest; one that never had a plan pays as the default says.
CREATE FUNCTION account_tokens_per_minute(account bigint, at timestamptz) RETURNS int LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT min(p.tokens_per_minute)
                       FROM subscriptions s JOIN plans p ON p.code = s.plan
                      WHERE s.account_id = account AND s.starts_at <= at AND s.ends_at > at), 1)
$$;

INSERT INTO routes (name, provider) VALUES ('voice', 'africastalking');

CREATE TABLE voice_campaigns (
    campaign_id bigint PRIMARY KEY REFERENCES campaigns,
    audio_id bigint REFERENCES audio_assets, -- what is played; NULL: the campaign's text is spoken
    audio_ms bigint,                         -- how long that is
    say_voice text NOT NULL DEFAULT '',
    attempts smallint,                       -- calls to one who does not answer, all told; NULL: VOICE_JOB_ATTEMPTS
    retry_s int,                             -- pause before the second; NULL: VOICE_JOB_BACKOFF_MS
    below_percent smallint NOT NULL DEFAULT 0, -- whoever listened to less is called once more; 0: nobody
    repeat_key text NOT NULL DEFAULT '',
    repeats smallint NOT NULL DEFAULT 0,     -- how often it may be heard again
    stop_key text NOT NULL DEFAULT '',
    answers jsonb NOT NULL DEFAULT '{}',     -- key: what it means
    wait_s smallint NOT NULL DEFAULT 10,     -- how long a key is waited for
    thanks text NOT NULL DEFAULT '',         -- said after an answer; '': nothing
    stopped text NOT NULL DEFAULT '',        -- said after the stop key
    tokens_per_minute int NOT NULL           -- as agreed when the campaign was made
);
CREATE INDEX voice_campaigns_by_audio ON voice_campaigns (audio_id) WHERE audio_id IS NOT NULL;
COMMENT ON TABLE voice_campaigns IS 'The part of a campaign that only calls have.';

-- recipients.segments of a voice campaign is its price at most, in tokens; recipients.provider_id is the session of the
-- last call. Tokens are captured when its last call has ended, not when it was placed.

ALTER TABLE batches
    ADD COLUMN calling boolean NOT NULL DEFAULT false, -- all of a pass is placed: it waits for ends, and for the time of the next
    ADD COLUMN retry_at timestamptz,         -- when the next pass begins; NULL: there is nobody to call again yet
    ADD COLUMN woken_at timestamptz,         -- when that was last said
    ADD COLUMN called_at timestamptz;        -- last claim of calls
CREATE INDEX batches_calling ON batches (campaign_id, batch) WHERE calling AND done_at IS NULL;
CREATE INDEX batches_called ON batches (called_at) WHERE called_at IS NOT NULL AND done_at IS NULL;

CREATE TABLE calls (
    campaign_id bigint NOT NULL,
    seq int NOT NULL,
    session_id text NOT NULL,
    word text NOT NULL CONSTRAINT calls_word CHECK (word IN (
        'completed', 'no_answer', 'busy', 'unreachable', 'rejected', 'failed')),
    status text NOT NULL DEFAULT '',         -- the provider's words
    cause text NOT NULL DEFAULT '',
    duration_s int NOT NULL DEFAULT 0,
    listened smallint,                       -- percent of what was to be heard, at most 100; NULL unless answered
    tokens smallint NOT NULL DEFAULT 0,      -- what it costs the account
    cost_e4 bigint NOT NULL DEFAULT 0,       -- what it costs us
    currency char(3),
    ended_at timestamptz NOT NULL,
    CONSTRAINT calls_pkey PRIMARY KEY (campaign_id, seq, session_id)
);
COMMENT ON TABLE calls IS 'Each call that ended, once, however often that is told.';

CREATE TABLE call_keys (
    campaign_id bigint NOT NULL,
    seq int NOT NULL,
    session_id text NOT NULL,
    step smallint NOT NULL,                  -- how often the callee was asked in this call, from 1
    keys text NOT NULL,
    pressed_at timestamptz NOT NULL,
    CONSTRAINT call_keys_pkey PRIMARY KEY (campaign_id, seq, session_id, step)
);
COMMENT ON TABLE call_keys IS 'What callees pressed: answers, again, and stop.';

-- As unmatched_reports: what came before place-call wrote down the session, or whose answer was lost.
CREATE TABLE unmatched_calls (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider text NOT NULL,
    session_id text NOT NULL,
    msisdn bigint NOT NULL,                  -- 0: the provider's number was unreadable
    campaign_id bigint NOT NULL,             -- 0: the report names none; -1: something that is none
    ended boolean NOT NULL,
    step smallint NOT NULL,
    keys text NOT NULL,
    duration_s int NOT NULL,
    amount_e4 bigint NOT NULL,
    currency text NOT NULL,
    status text NOT NULL,
    cause text NOT NULL,
    received_at timestamptz NOT NULL,
    tries int NOT NULL DEFAULT 0,
    next_try_at timestamptz NOT NULL,
    CONSTRAINT unmatched_calls_once UNIQUE (session_id, msisdn, campaign_id, ended, step)
);
CREATE INDEX unmatched_calls_due ON unmatched_calls (next_try_at);
COMMENT ON TABLE unmatched_calls IS 'Reports of calls that nobody could be found for, or whose recipient is in the hands of place-call; tried again until they are old.';
