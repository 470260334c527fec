-- How fast payment providers may be asked what became of payments: one limit for all workers.

CREATE TABLE payment_pace (
    provider text PRIMARY KEY,
    next_query_at timestamptz NOT NULL       -- from then on the next question may be asked
);
COMMENT ON TABLE payment_pace IS 'One row per payment provider: when it may be asked again. Whoever asks moves it on first.';

INSERT INTO payment_pace VALUES ('mpesa', '2000-01-01 00:00:00+00');
