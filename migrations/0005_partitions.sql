-- Partitions of recipients, a month each. An id is 42 bits of milliseconds since 2025-01-01 and 21 bits of chance,
-- so the ids of a month are a range. tumactl migrate and split-batches call this; it is safe to call often.

CREATE FUNCTION id_floor(at timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT greatest(0, (extract(epoch FROM at - timestamptz '2025-01-01 00:00:00+00') * 1000)::bigint) << 21
$$;

CREATE FUNCTION ensure_partitions(months_ahead int DEFAULT 3) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    month timestamptz;
    name text;
    made int := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('tuma ensure_partitions'));
    FOR i IN -1 .. months_ahead LOOP
        month := date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + make_interval(months => i);
        name := 'recipients_' || to_char(month AT TIME ZONE 'UTC', 'YYYY_MM');
        IF to_regclass(name) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF recipients FOR VALUES FROM (%s) TO (%s) '
                           'WITH (fillfactor = 45, autovacuum_vacuum_scale_factor = 0.1)',
                           name, id_floor(month), id_floor(month + interval '1 month'));
            made := made + 1;
        END IF;
    END LOOP;
    RETURN made;
END $$;

SELECT ensure_partitions();

-- A recipient's state as people mean it. Counters and API use the same words.
CREATE FUNCTION recipient_state(state smallint, seq int, campaign_status text,
                                claimed_seq int, recorded_seq int)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN state <> 0 THEN (ARRAY['sending', 'in_doubt', 'sent', 'delivered', 'failed', 'expired',
                                    'suppressed', 'cancelled'])[state]
        WHEN seq > recorded_seq AND seq <= claimed_seq THEN 'sending'
        WHEN campaign_status IN ('cancelling', 'cancelled') THEN 'cancelled'
        WHEN campaign_status = 'expired' THEN 'expired'
        ELSE 'pending'
    END
$$;

CREATE VIEW recipient_states AS
    SELECT r.*, c.account_id,
           recipient_state(r.state, r.seq, c.status, b.claimed_seq, b.recorded_seq) AS word
      FROM recipients r
      JOIN campaigns c ON c.id = r.campaign_id
      LEFT JOIN LATERAL (SELECT * FROM batches x
                          WHERE x.campaign_id = r.campaign_id AND x.first_seq <= r.seq
                          ORDER BY x.first_seq DESC LIMIT 1) b ON true;

-- The counts of a campaign. pending is what is left; cancelled and expired take it over at the end.
CREATE VIEW campaign_counts AS
    SELECT c.id AS campaign_id, c.planned, c.suppressed,
           b.sending, b.in_doubt, b.sent, b.delivered, b.failed,
           b.expired + CASE WHEN c.status = 'expired' THEN b.rest ELSE 0 END AS expired,
           b.cancelled + CASE WHEN c.status IN ('cancelling', 'cancelled') THEN b.rest ELSE 0 END AS cancelled,
           CASE WHEN c.status IN ('expired', 'cancelling', 'cancelled') THEN 0 ELSE b.rest END AS pending,
           b.captured, b.released, b.cost_e4
      FROM campaigns c
     CROSS JOIN LATERAL (
           SELECT s.*, c.planned - c.suppressed - s.sending - s.in_doubt - s.sent - s.delivered - s.failed - s.expired - s.cancelled AS rest
             FROM (SELECT coalesce(sum(in_flight), 0)::bigint AS sending, coalesce(sum(in_doubt), 0)::bigint AS in_doubt,
                          coalesce(sum(sent), 0)::bigint AS sent, coalesce(sum(delivered), 0)::bigint AS delivered,
                          coalesce(sum(failed), 0)::bigint AS failed, coalesce(sum(expired), 0)::bigint AS expired,
                          coalesce(sum(cancelled), 0)::bigint AS cancelled,
                          coalesce(sum(captured), 0)::bigint AS captured, coalesce(sum(released), 0)::bigint AS released,
                          coalesce(sum(cost_e4), 0)::bigint AS cost_e4
                     FROM batches x WHERE x.campaign_id = c.id) s) b;
