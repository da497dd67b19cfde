-- Submits what schedules are due for, at most 1000 times that were missed of each. One that is refused says why in last_error and is tried
-- again when it is due next. Internal.
CREATE OR REPLACE FUNCTION os.run_crons(p int) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    c os.cron%ROWTYPE;
    due timestamptz[];
    one timestamptz;
    wrong text;
BEGIN
    FOR c IN SELECT * FROM os.cron x WHERE x.p_key = p AND NOT x.paused AND x.next_at <= now() ORDER BY x.next_at, x.cron LOOP
        due := '{}';
        one := c.next_at;
        WHILE one <= now() AND cardinality(due) < 1000 LOOP
            due := due || one;
            one := os.cron_next(c.schedule, c.time_zone, one);
        END LOOP;
        IF one <= now() THEN
            one := os.cron_next(c.schedule, c.time_zone, now());
        END IF;
        IF c.missed = 'skip' AND due[cardinality(due)] < now() - interval '1 minute' THEN
            due := '{}';
        ELSIF c.missed <> 'all' THEN
            due := due[cardinality(due):];
        END IF;
        wrong := NULL;
        BEGIN
            FOR n IN 1..cardinality(due) LOOP
                c.last_id := os.submit_described(p, c.owner, c.task);
                c.last_at := due[n];
            END LOOP;
        EXCEPTION WHEN OTHERS THEN
            IF left(SQLSTATE, 2) IN ('40', '53', '57') THEN
                RAISE;
            END IF;
            wrong := format('%s: %s', SQLSTATE, SQLERRM);
        END;
        UPDATE os.cron x
           SET next_at = one, last_id = CASE WHEN wrong IS NULL THEN c.last_id ELSE x.last_id END,
               last_at = CASE WHEN wrong IS NULL THEN c.last_at ELSE x.last_at END, last_error = wrong
         WHERE x.p_key = p AND x.cron = c.cron;
    END LOOP;
END
$$;
