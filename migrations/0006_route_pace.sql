-- The pace of a route, kept where all its senders see it.

ALTER TABLE routes ADD COLUMN next_at timestamptz NOT NULL DEFAULT '-infinity';
COMMENT ON COLUMN routes.next_at IS 'When the next recipient may go, while there is a rate limit. '
    'rate-limit lets batches through at the pace; workers that are late would still send side by side, so each books its time here.';
