-- Hash-chained ledger: each entry of an account names the hash of the one before it, so that none can be changed, dropped,
-- swapped or slipped in without breaking what follows. A customer checks a signed statement with tuma-verify-statement.

ALTER TABLE ledger_entries
    ADD COLUMN position bigint,              -- in the account's chain, from 1 without a gap
    ADD COLUMN previous bytea,               -- hash of the entry before it; 32 zero bytes at position 1
    ADD COLUMN hash bytea,                   -- ledger_hash() of this entry
    ADD COLUMN peer_id bigint REFERENCES accounts, -- of a transfer: the other account
    ADD COLUMN detail text,                  -- why, in somebody's words
    ADD COLUMN actor text;                   -- who did it, when it was a person
ALTER TABLE token_balances
    ADD COLUMN head_position bigint NOT NULL DEFAULT 0,
    ADD COLUMN head_hash bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex');
COMMENT ON COLUMN token_balances.head_hash IS 'Hash of the account''s last ledger entry. Every movement locks this row, so chains do not fork.';

-- Text as one field of a line, as COPY writes it.
CREATE FUNCTION ledger_field(value text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(replace(replace(replace(replace(value, E'\\', E'\\\\'), E'\t', E'\\t'), E'\n', E'\\n'), E'\r', E'\\r'), '\N')
$$;

-- What a statement shows of an entry, and what its hash covers: fields with tabs between them.
CREATE FUNCTION ledger_line(at timestamptz, kind text, debit text, credit text, amount bigint, hold bigint, peer bigint,
                            reference text, detail text, actor text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || E'\t' || ledger_field(kind) || E'\t' || debit
           || E'\t' || credit || E'\t' || amount::text || E'\t' || coalesce(hold::text, '\N') || E'\t'
           || coalesce(peer::text, '\N') || E'\t' || ledger_field(reference) || E'\t' || ledger_field(detail) || E'\t'
           || ledger_field(actor)
$$;

-- The planner puts the bodies of these functions in place of the calls: they cost no call of their own.
CREATE FUNCTION ledger_hash(account bigint, pos bigint, previous bytea, line text) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(convert_to('tuma-ledger-1' || E'\t' || account::text || E'\t' || pos::text || E'\t'
                             || encode(previous, 'hex') || E'\t' || line, 'UTF8'))
$$;

ALTER TABLE ledger_entries DISABLE TRIGGER ledger_entries_frozen;
DO $$
DECLARE
    entry record;
    account bigint;
    pos bigint;
    head bytea;
    genesis CONSTANT bytea := decode(repeat('00', 32), 'hex');
    digest bytea;
BEGIN
    FOR entry IN SELECT * FROM ledger_entries ORDER BY account_id, id LOOP
        IF account IS DISTINCT FROM entry.account_id THEN
            account := entry.account_id;
            pos := 0;
            head := genesis;
        END IF;
        pos := pos + 1;
        digest := ledger_hash(account, pos, head,
                              ledger_line(entry.created_at, entry.kind, entry.debit, entry.credit, entry.amount, entry.hold_id,
                                          NULL, entry.reference, NULL, NULL));
        UPDATE ledger_entries SET position = pos, previous = head, hash = digest WHERE id = entry.id;
        head := digest;
    END LOOP;
    UPDATE token_balances b SET head_position = e.position, head_hash = e.hash
      FROM (SELECT DISTINCT ON (account_id) account_id, position, hash FROM ledger_entries
             ORDER BY account_id, position DESC) e
     WHERE e.account_id = b.account_id;
END $$;
ALTER TABLE ledger_entries ENABLE TRIGGER ledger_entries_frozen;

ALTER TABLE ledger_entries
    ALTER COLUMN position SET NOT NULL,
    ALTER COLUMN previous SET NOT NULL,
    ALTER COLUMN hash SET NOT NULL,
    ADD CONSTRAINT ledger_entries_chain UNIQUE (account_id, position),
    ADD CONSTRAINT ledger_entries_hashes CHECK (position > 0 AND octet_length(previous) = 32 AND octet_length(hash) = 32);

-- Tokens spent and given back because the message never arrived.
ALTER TABLE token_holds
    ADD COLUMN refunded bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT token_holds_refunded_within CHECK (refunded BETWEEN 0 AND captured);

-- Programs from before this migration may run on until each is restarted: what they write is linked for them. Those since
-- then do it themselves, in the same statement, and these triggers do nothing but look at two columns.
CREATE FUNCTION ledger_link() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last record;
BEGIN
    PERFORM 1 FROM token_balances WHERE account_id = NEW.account_id FOR UPDATE;
    SELECT position, hash INTO last FROM ledger_entries WHERE account_id = NEW.account_id ORDER BY position DESC LIMIT 1;
    NEW.position := coalesce(last.position, 0) + 1;
    NEW.previous := coalesce(last.hash, decode(repeat('00', 32), 'hex'));
    NEW.hash := ledger_hash(NEW.account_id, NEW.position, NEW.previous,
                            ledger_line(NEW.created_at, NEW.kind, NEW.debit, NEW.credit, NEW.amount, NEW.hold_id, NEW.peer_id,
                                        NEW.reference, NEW.detail, NEW.actor));
    RETURN NEW;
END $$;
CREATE TRIGGER ledger_entries_link BEFORE INSERT ON ledger_entries
    FOR EACH ROW WHEN (NEW.position IS NULL) EXECUTE FUNCTION ledger_link();

CREATE FUNCTION ledger_follow() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last record;
BEGIN
    SELECT position, hash INTO last FROM ledger_entries WHERE account_id = NEW.account_id ORDER BY position DESC LIMIT 1;
    IF FOUND THEN
        NEW.head_position := last.position;
        NEW.head_hash := last.hash;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER token_balances_begin BEFORE INSERT ON token_balances
    FOR EACH ROW WHEN (NEW.head_position = 0) EXECUTE FUNCTION ledger_follow();
CREATE TRIGGER token_balances_follow BEFORE UPDATE ON token_balances
    FOR EACH ROW WHEN (NEW.head_position = OLD.head_position AND NEW.head_hash = OLD.head_hash)
    EXECUTE FUNCTION ledger_follow();
