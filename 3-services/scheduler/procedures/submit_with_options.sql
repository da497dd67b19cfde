-- submit_task for a task that has options; its arguments have been checked. Internal.
CREATE OR REPLACE FUNCTION os.submit_with_options(
    p int, owner text, name text, program text, arguments text[], environment jsonb, inputs jsonb, outputs jsonb, cores int, memory bigint,
    priority int, policy text, max_attempts int, backoff_ms int, timeout_ms int, reply_to bigint, kind text, delay_ms int, options jsonb)
RETURNS bigint LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
    task bigint;
    fingerprint text;
BEGIN
    PERFORM os.check_options(p, name, options);
    IF options ? 'key' THEN
        fingerprint := md5(jsonb_build_array(owner, name, program, arguments, environment, inputs, outputs, cores, memory, priority, policy,
                                             max_attempts, backoff_ms, timeout_ms, reply_to, kind, delay_ms, options)::text);
        task := os.find_key(p, options ->> 'key', fingerprint);
        IF task IS NOT NULL THEN
            RETURN task;
        END IF;
    END IF;
    task := os.next_ids(p, 'task', 1);
    IF options ? 'key' THEN
        INSERT INTO os.submitted_key VALUES (p, options ->> 'key', task, fingerprint);
    END IF;
    IF kind = 'sql' AND NOT options ? 'code' THEN
        options := options || jsonb_strip_nulls(jsonb_build_object('code', os.code_version(program)));
    END IF;
    INSERT INTO os.task_spec VALUES (p, task, owner, name, kind, program, arguments, environment, inputs, outputs, cores,
                                     memory, priority, policy, max_attempts, backoff_ms, timeout_ms, reply_to, 0, options);
    IF delay_ms > 0 THEN
        PERFORM os.delay_task(p, task, now() + make_interval(secs => delay_ms / 1000.0));
    ELSE
        PERFORM os.check_queue(p, 1);
        PERFORM os.check_queue_bound(p, options ->> 'queue');
        PERFORM os.make_runnable(p, task);
        PERFORM os.drain_queue(p);
    END IF;
    RETURN task;
END
$$;
