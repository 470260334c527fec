-- Changes that somebody has still to be told of: a stage's tick tells them as events, confirmed, and clears the mark.

ALTER TABLE campaigns ADD COLUMN untold_at timestamptz;
COMMENT ON COLUMN campaigns.untold_at IS 'When it was paused, resumed, cancelled or abandoned; NULL once split-batches has told so. '
    'Stages that move a campaign on tell it themselves.';
CREATE INDEX campaigns_untold ON campaigns (id) WHERE untold_at IS NOT NULL;

ALTER TABLE routes ADD COLUMN untold_at timestamptz;
COMMENT ON COLUMN routes.untold_at IS 'When it was held or opened; NULL once send-sms has told so.';
COMMENT ON COLUMN routes.why IS 'Why it is held, or was opened, as one stable word.';
