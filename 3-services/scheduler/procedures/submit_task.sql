-- Submits one task; its identifier. It runs at once when nobody waits before it and a worker has room.
CREATE OR REPLACE FUNCTION os.submit_task(
    p int, owner text, name text, program text,
    arguments text[] DEFAULT '{}', environment jsonb DEFAULT '{}', inputs jsonb DEFAULT '[]', outputs jsonb DEFAULT '[]',
    cores int DEFAULT 1, memory bigint DEFAULT 0, priority int DEFAULT 0, policy text DEFAULT 'fifo',
    max_attempts int DEFAULT 1, backoff_ms int DEFAULT 1000, timeout_ms int DEFAULT NULL,
    reply_to bigint DEFAULT NULL, kind text DEFAULT 'exec', delay_ms int DEFAULT 0, options jsonb DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
    task bigint;
    worker bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(7301, p);
    PERFORM os.check_spec(name, program, cores, memory, max_attempts, backoff_ms, timeout_ms, reply_to, p);
    IF policy <> 'fifo' THEN
        PERFORM os.check_policy(policy);
        IF policy = 'fair' OR policy LIKE '@%' THEN
            options := coalesce(options, '{}') || CASE WHEN policy LIKE '@%' THEN jsonb_build_object('class', substr(policy, 2)) ELSE '{}' END;
        END IF;
    END IF;
    IF options IS NOT NULL OR kind = 'sql' THEN
        RETURN os.submit_with_options(p, owner, name, program, arguments, environment, inputs, outputs, cores, memory, priority, policy,
                                      max_attempts, backoff_ms, timeout_ms, reply_to, kind, delay_ms, coalesce(options, '{}'));
    END IF;
    task := os.next_ids(p, 'task', 1);
    INSERT INTO os.task_spec VALUES (p, task, owner, name, kind, program, arguments, environment, inputs, outputs, cores,
                                     memory, priority, policy, max_attempts, backoff_ms, timeout_ms, reply_to, 0);
    IF delay_ms > 0 THEN
        PERFORM os.delay_task(p, task, now() + make_interval(secs => delay_ms / 1000.0));
        RETURN task;
    END IF;
    PERFORM 1 FROM os.task_queue q WHERE q.p_key = p AND q.parked = false;
    IF NOT FOUND THEN
        worker := os.place_task(p, task, cores, memory, policy);
    END IF;
    IF worker IS NULL THEN
        PERFORM os.check_queue(p, 1);
        PERFORM os.enqueue_task(p, task, cores, memory, policy, priority);
        PERFORM os.drain_queue(p);
    END IF;
    RETURN task;
END
$$;
