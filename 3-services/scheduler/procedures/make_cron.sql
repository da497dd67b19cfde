-- Submits a task, or a graph, whenever a schedule is due; under the same name it replaces what was there. When it is due first.
CREATE OR REPLACE FUNCTION os.make_cron(
    p int, cron_name text, owner text, schedule text, task jsonb, time_zone text DEFAULT 'UTC', missed text DEFAULT 'once',
    start_at timestamptz DEFAULT NULL)
RETURNS timestamptz LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
    first_at timestamptz := os.cron_next(schedule, time_zone, greatest(now(), start_at - interval '1 minute'));
BEGIN
    PERFORM pg_advisory_xact_lock(7301, p);
    IF p NOT BETWEEN 0 AND 63 THEN
        RAISE EXCEPTION 'there is no bucket %', p USING ERRCODE = 'TXO01', HINT = 'Buckets are 0 to 63.';
    END IF;
    IF coalesce(length(cron_name), 0) NOT BETWEEN 1 AND 200 OR coalesce(missed, '') NOT IN ('skip', 'once', 'all') OR owner IS NULL THEN
        RAISE EXCEPTION 'invalid schedule "%"', cron_name
            USING ERRCODE = 'TXS16', HINT = 'A name of 1 to 200 characters, an owner, and missed: skip, once or all.';
    END IF;
    PERFORM os.check_graph(CASE WHEN task ? 'tasks' THEN task ELSE jsonb_build_object('tasks', jsonb_build_array(task)) END);
    INSERT INTO os.cron AS c (p_key, cron, owner, schedule, time_zone, missed, task, next_at)
    VALUES (p, cron_name, owner, schedule, time_zone, missed, task, first_at)
        ON CONFLICT (p_key, cron) DO UPDATE
       SET owner = EXCLUDED.owner, schedule = EXCLUDED.schedule, time_zone = EXCLUDED.time_zone, missed = EXCLUDED.missed,
           task = EXCLUDED.task, next_at = EXCLUDED.next_at;
    PERFORM pg_notify('os_timer', p::text);
    RETURN first_at;
END
$$;
