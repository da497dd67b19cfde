-- The pause before a task is tried again: it doubles with each failure up to backoff_max_ms (a day), less a random part of it: jitter, 0 to
-- 1, of it. Internal.
CREATE OR REPLACE FUNCTION os.backoff(backoff_ms int, failures int, options jsonb) RETURNS interval
LANGUAGE plpgsql AS $$
DECLARE
    pause float8 := least(backoff_ms * 2.0 ^ least(failures, 30), coalesce((options ->> 'backoff_max_ms')::float8, 86400000));
BEGIN
    IF options ? 'jitter' THEN
        pause := pause * (1 - (options ->> 'jitter')::float8 * random());
    END IF;
    RETURN make_interval(secs => pause / 1000.0);
END
$$;
