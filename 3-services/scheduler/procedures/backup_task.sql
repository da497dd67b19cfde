-- Begins a second copy of a running task on another worker: the first to finish wins, the other's report is refused. The copy.
CREATE OR REPLACE FUNCTION os.backup_task(p int, task bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    original os.task;
    spec os.task_spec;
    copy bigint;
    chosen bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(7301, p);
    original := os.find_task(p, task);
    PERFORM 1 FROM os.task_lease l WHERE l.p_key = p AND l.task_id = task AND (l.more ? 'backup' OR l.more ? 'backup_of');
    IF FOUND OR original.state <> 'running' THEN
        RAISE EXCEPTION 'task % is %, and has no copy beside it', task, CASE original.state WHEN 'running' THEN 'copied' ELSE original.state END
            USING ERRCODE = 'TXS10', HINT = 'A task that runs can have one copy.';
    END IF;
    SELECT * INTO spec FROM os.task_spec s WHERE s.p_key = p AND s.task_id = task;
    SELECT f.worker_id INTO chosen FROM os.fitting_workers(p, task, spec.cores, spec.memory) f
     WHERE f.worker_id <> original.worker_id ORDER BY f.unused_capacity DESC, f.worker_id LIMIT 1;
    IF chosen IS NULL THEN
        RAISE EXCEPTION 'no other worker of bucket % has room for a copy of task %', p, task USING ERRCODE = 'TXS12';
    END IF;
    copy := os.next_ids(p, 'task', 1);
    INSERT INTO os.task_spec (p_key, task_id, owner, name, kind, program, arguments, environment, inputs, outputs, cores, memory,
                              priority, policy, max_attempts, backoff_ms, timeout_ms, level, options)
    VALUES (p, copy, spec.owner, spec.name, spec.kind, spec.program, spec.arguments, spec.environment, spec.inputs, spec.outputs, spec.cores,
            spec.memory, spec.priority, spec.policy, 1, spec.backoff_ms, spec.timeout_ms, 0,
            coalesce(spec.options - ARRAY['key', 'queue', 'gang'], '{}') || jsonb_build_object('backup_of', task));
    PERFORM os.assign_task(p, copy, chosen, spec.cores, spec.memory, format('backup of task %s', task));
    UPDATE os.task_lease l SET more = coalesce(l.more, '{}') || jsonb_build_object('backup_of', task) WHERE l.p_key = p AND l.task_id = copy;
    UPDATE os.task_lease l SET more = coalesce(l.more, '{}') || jsonb_build_object('backup', copy) WHERE l.p_key = p AND l.task_id = task;
    PERFORM pg_notify('os_worker_' || chosen, p::text);
    RETURN copy;
END
$$;
