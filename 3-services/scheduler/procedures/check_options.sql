-- Refuses options that no task can have; those that a graph's task has stand beside its other keys. Internal.
CREATE OR REPLACE FUNCTION os.check_options(p int, task_name text, options jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    wrong text;
BEGIN
    IF jsonb_typeof(options) <> 'object' THEN
        RAISE EXCEPTION 'invalid task "%": its options must be an object', task_name USING ERRCODE = 'TXS07';
    END IF;
    SELECT format('option "%s" is unknown or not of the right kind', o.key) INTO wrong FROM jsonb_each(options) o
      LEFT JOIN unnest(ARRAY['class', 'resources', 'queue', 'group', 'key', 'backoff_max_ms', 'jitter', 'start_at', 'code', 'paused'],
                       ARRAY['string', 'object', 'string', 'string', 'string', 'number', 'number', 'string', 'string', 'boolean'])
             AS known (key, expected) ON known.key = o.key
     WHERE known.key IS NULL OR jsonb_typeof(o.value) <> known.expected
     ORDER BY o.key LIMIT 1;
    IF wrong IS NULL THEN
        wrong := CASE
            WHEN (options ->> 'jitter')::float8 NOT BETWEEN 0 AND 1 THEN 'jitter must be 0 to 1'
            WHEN (options ->> 'backoff_max_ms')::numeric NOT BETWEEN 0 AND 86400000 THEN 'backoff_max_ms must be 0 to 86400000, a day'
            WHEN length(options ->> 'key') NOT BETWEEN 1 AND 200 THEN 'key must have 1 to 200 characters'
            WHEN length(options ->> 'group') NOT BETWEEN 1 AND 200 THEN 'group must have 1 to 200 characters' END;
    END IF;
    IF wrong IS NULL AND options ? 'resources' THEN
        SELECT format('resource "%s" must be a whole number of 1 or more', r.key) INTO wrong FROM jsonb_each(options -> 'resources') r
         WHERE jsonb_typeof(r.value) <> 'number' OR r.value #>> '{}' !~ '^[1-9][0-9]{0,17}$'
         ORDER BY r.key LIMIT 1;
    END IF;
    IF wrong IS NULL AND options ? 'class' THEN
        PERFORM 1 FROM os.task_class c WHERE c.class = options ->> 'class';
        wrong := CASE WHEN NOT FOUND THEN format('there is no class "%s" in os.task_class', options ->> 'class') END;
    END IF;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'invalid task "%": %', task_name, wrong USING ERRCODE = 'TXS07';
    END IF;
    IF options ? 'start_at' THEN
        PERFORM os.read_time(options ->> 'start_at');
    END IF;
    IF options ? 'queue' THEN
        PERFORM 1 FROM os.queue q WHERE q.p_key = p AND q.queue = options ->> 'queue';
        IF NOT FOUND THEN
            RAISE EXCEPTION 'there is no queue "%" in bucket %', options ->> 'queue', p
                USING ERRCODE = 'TXS14', HINT = 'Make it by os.make_queue.';
        END IF;
    END IF;
END
$$;
