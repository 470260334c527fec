-- Which lots expire next, of all accounts: asked about once a second.

CREATE INDEX token_lots_expiring ON token_lots (expires_at, id) WHERE available > 0 AND expires_at IS NOT NULL;
