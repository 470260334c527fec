-- Where tumactl tokens cleanup puts old detail that is closed. Entries of the ledger stay where they are.

CREATE TABLE token_hold_lots_archive (
    hold_id bigint NOT NULL REFERENCES token_holds,
    lot_id bigint NOT NULL REFERENCES token_lots,
    amount bigint NOT NULL,
    CONSTRAINT token_hold_lots_archive_pkey PRIMARY KEY (hold_id, lot_id)
);
COMMENT ON TABLE token_hold_lots_archive IS 'Rows of token_hold_lots of holds that are closed for good.';

CREATE TABLE payment_bodies_archive (
    callback_id bigint PRIMARY KEY REFERENCES payment_callbacks,
    body text NOT NULL
);
COMMENT ON TABLE payment_bodies_archive IS 'Bodies of payment_callbacks whose payment has ended; the rows themselves stay, with an empty body.';
