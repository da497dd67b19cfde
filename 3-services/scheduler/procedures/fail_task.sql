-- An attempt failed; the task's new state: delayed (it is tried again), failed or cancelled.
CREATE OR REPLACE FUNCTION os.fail_task(
    p int, task bigint, attempt_no int, error text, exit_code int DEFAULT NULL, user_time_us bigint DEFAULT NULL,
    system_time_us bigint DEFAULT NULL, peak_memory bigint DEFAULT NULL, may_retry bool DEFAULT true)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    held record;
    spec record;
    new_state text;
BEGIN
    SELECT * INTO held FROM os.check_attempt(p, task, attempt_no);
    PERFORM os.release_lease(p, task);
    INSERT INTO os.task_result VALUES (p, task, attempt_no, CASE held.state WHEN 'cancelling' THEN 'cancelled' ELSE 'failed' END,
                                       held.worker, exit_code, error, NULL, user_time_us, system_time_us, peak_memory,
                                       held.started, now());
    SELECT s.max_attempts, s.backoff_ms INTO spec FROM os.task_spec s WHERE s.p_key = p AND s.task_id = task;
    IF held.state = 'cancelling' THEN
        new_state := 'cancelled';
        PERFORM os.settle_task(p, task, new_state);
    ELSIF may_retry AND held.failures + 1 < coalesce(spec.max_attempts, 1) THEN
        new_state := 'delayed';
        UPDATE os.task t SET state = new_state, worker_id = NULL, failures = held.failures + 1
         WHERE t.p_key = p AND t.task_id = task;
        -- Each failure doubles the pause, up to a day.
        INSERT INTO os.task_timer
        VALUES (p, task, now() + make_interval(secs => least(spec.backoff_ms / 1000.0 * 2 ^ least(held.failures, 30), 86400)));
        PERFORM pg_notify('os_timer', p::text);
    ELSE
        new_state := 'failed';
        UPDATE os.task t SET failures = held.failures + 1 WHERE t.p_key = p AND t.task_id = task;
        PERFORM os.settle_task(p, task, new_state);
    END IF;
    PERFORM os.drain_queue(p);
    RETURN new_state;
END
$$;
