-- Room in the pages of recipients: a row grows from 68 bytes to 148 on its way from pending to sent to delivered, and each
-- version needs its place beside the last one, or both indexes of the row are written again. At 45 % a third of the updates
-- were not HOT; at 25 % all are, 100,000 rows take a third less time to update and in the end no more space.

CREATE OR REPLACE FUNCTION ensure_partitions(months_ahead int DEFAULT 3) RETURNS int LANGUAGE plpgsql AS $$
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
                           'WITH (fillfactor = 25, autovacuum_vacuum_scale_factor = 0.1)',
                           name, id_floor(month), id_floor(month + interval '1 month'));
            made := made + 1;
        END IF;
    END LOOP;
    RETURN made;
END $$;

DO $$
DECLARE
    partition regclass;
BEGIN
    FOR partition IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'recipients'::regclass LOOP
        EXECUTE format('ALTER TABLE %s SET (fillfactor = 25)', partition);
    END LOOP;
END $$;
