-- An attempt failed; the task's new state: delayed (it is tried again), failed or cancelled.
CREATE OR REPLACE FUNCTION os.fail_task(
    p int, task bigint, attempt_no int, error text, exit_code int DEFAULT NULL, user_time_us bigint DEFAULT NULL,
    system_time_us bigint DEFAULT NULL, peak_memory bigint DEFAULT NULL, may_retry bool DEFAULT true)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    held record;
    spec record;
    more jsonb;
    graph bigint;
    new_state text;
BEGIN
    SELECT * INTO held FROM os.check_attempt(p, task, attempt_no);
    more := os.release_lease(p, task);
    INSERT INTO os.task_result VALUES (p, task, attempt_no, CASE held.state WHEN 'cancelling' THEN 'cancelled' ELSE 'failed' END,
                                       held.worker, exit_code, error, NULL, user_time_us, system_time_us, peak_memory,
                                       held.started, now());
    SELECT s.max_attempts, s.backoff_ms, s.options INTO spec FROM os.task_spec s WHERE s.p_key = p AND s.task_id = task;
    UPDATE os.task t SET failures = held.failures + (held.state <> 'cancelling')::int
     WHERE t.p_key = p AND t.task_id = task RETURNING t.graph_id INTO graph;
    IF held.state = 'cancelling' THEN
        new_state := 'cancelled';
        PERFORM os.settle_task(p, task, new_state);
    ELSIF may_retry AND held.failures + 1 < coalesce(spec.max_attempts, 1) THEN
        new_state := 'delayed';
        PERFORM os.delay_task(p, task, now() + os.backoff(spec.backoff_ms, held.failures, spec.options));
    ELSE
        new_state := 'failed';
        PERFORM os.settle_task(p, task, new_state);
    END IF;
    PERFORM os.unsettle_others(p, task, graph, more);
    PERFORM os.drain_queue(p);
    RETURN new_state;
END
$$;
