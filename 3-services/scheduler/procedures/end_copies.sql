-- Of a task and its backup copy one has finished: the other is ended, and its report refused. Internal.
CREATE OR REPLACE FUNCTION os.end_copies(p int, task bigint, more jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    original os.task;
    other bigint := (more ->> 'backup')::bigint;
BEGIN
    IF other IS NOT NULL THEN
        PERFORM os.cancel_task(p, other, format('task %s was faster', task));
    END IF;
    other := (more ->> 'backup_of')::bigint;
    IF other IS NOT NULL THEN
        SELECT * INTO original FROM os.task t WHERE t.p_key = p AND t.task_id = other;
        IF original.state IS DISTINCT FROM 'running' THEN
            RAISE EXCEPTION 'task %, whose copy task % is, does not run any more', other, task USING ERRCODE = 'TXS02';
        END IF;
        PERFORM os.release_lease(p, other);
        INSERT INTO os.task_result (p_key, task_id, attempt, outcome, worker_id, exit_code, user_time_us, system_time_us, peak_memory,
                                    started_at, result)
        SELECT p, other, original.attempt, 'done', r.worker_id, r.exit_code, r.user_time_us, r.system_time_us, r.peak_memory, r.started_at, r.result
          FROM os.task_result r WHERE r.p_key = p AND r.task_id = task AND r.outcome = 'done';
        PERFORM os.settle_task(p, other, 'done');
        PERFORM pg_notify('os_worker_' || original.worker_id, 'cancel ' || other);
    END IF;
END
$$;
