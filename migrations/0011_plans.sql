-- Plans: what is sold, for how much and with which features; and which account has which plan until when.

CREATE TABLE plans (
    code text PRIMARY KEY CONSTRAINT plans_code_form CHECK (code ~ '^[a-z][a-z0-9-]{0,30}$'),
    name text NOT NULL,
    price_minor bigint NOT NULL CONSTRAINT plans_price CHECK (price_minor >= 0),
    currency char(3) NOT NULL,
    tokens bigint NOT NULL CONSTRAINT plans_tokens CHECK (tokens > 0),
    valid_days int NOT NULL CONSTRAINT plans_valid_days CHECK (valid_days BETWEEN 1 AND 3660),
    features text[] NOT NULL CONSTRAINT plans_features_words CHECK (features <@ ARRAY[
        'basic_sending', 'delivery_reports', 'analytics', 'api_access', 'scheduled_sending',
        'priority_sending', 'dedicated_support']),
    once boolean NOT NULL,                   -- an account may have it a single time
    carries_over boolean NOT NULL,           -- what is left of an earlier plan stays valid as long as this one
    on_sale boolean NOT NULL,
    position int NOT NULL,                   -- in lists
    changed_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE plans IS 'What is sold. An operator edits it; a change holds for what is bought from then on, features at once.';

INSERT INTO plans (code, name, price_minor, currency, tokens, valid_days, features, once, carries_over, on_sale, position) VALUES
    ('demo', 'Demo', 0, 'KES', 100, 7,
     ARRAY['basic_sending', 'delivery_reports'], true, false, true, 1),
    ('starter', 'Starter', 100000, 'KES', 1000, 30,
     ARRAY['basic_sending', 'delivery_reports', 'analytics'], false, true, true, 2),
    ('business', 'Business', 450000, 'KES', 5000, 30,
     ARRAY['basic_sending', 'delivery_reports', 'analytics', 'api_access', 'scheduled_sending'], false, true, true, 3),
    ('enterprise', 'Enterprise', 1600000, 'KES', 20000, 30,
     ARRAY['basic_sending', 'delivery_reports', 'analytics', 'api_access', 'scheduled_sending', 'priority_sending',
           'dedicated_support'], false, true, true, 4);

CREATE TABLE subscriptions (
    id bigint PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES accounts,
    plan text NOT NULL REFERENCES plans,
    reference text NOT NULL,                 -- of what it was bought with; the lot has it, too
    price_minor bigint NOT NULL,             -- as it was then
    currency char(3) NOT NULL,
    tokens bigint NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT subscriptions_reference_key UNIQUE (account_id, reference),
    CONSTRAINT subscriptions_span CHECK (ends_at > starts_at)
);
CREATE INDEX subscriptions_by_account ON subscriptions (account_id, ends_at DESC);
COMMENT ON TABLE subscriptions IS 'A plan that an account bought. Of several that run at once the features add up.';

-- What an account may do now. One that never had a plan is a customer by agreement and may do everything.
CREATE FUNCTION account_features(account bigint, at timestamptz) RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN EXISTS (SELECT FROM subscriptions WHERE account_id = account) THEN
            ARRAY(SELECT DISTINCT feature
                    FROM subscriptions s JOIN plans p ON p.code = s.plan CROSS JOIN unnest(p.features) AS feature
                   WHERE s.account_id = account AND s.starts_at <= at AND s.ends_at > at)
        ELSE ARRAY['basic_sending', 'delivery_reports', 'analytics', 'api_access', 'scheduled_sending',
                   'priority_sending', 'dedicated_support']
    END
$$;
