-- An attempt succeeded; what its transaction wrote becomes visible with it, and the tasks that need it are given its result. Refused when
-- the attempt is stale or being cancelled: then nothing of that transaction stays.
CREATE OR REPLACE FUNCTION os.finish_task(
    p int, task bigint, attempt_no int, exit_code int DEFAULT 0, user_time_us bigint DEFAULT NULL, system_time_us bigint DEFAULT NULL,
    peak_memory bigint DEFAULT NULL, result jsonb DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    held record;
    more jsonb;
BEGIN
    SELECT * INTO held FROM os.check_attempt(p, task, attempt_no);
    IF held.state = 'cancelling' THEN
        RAISE EXCEPTION 'attempt % of task % is being cancelled', attempt_no, task
            USING ERRCODE = 'TXS02', HINT = 'End its process and report it by fail_task.';
    END IF;
    IF result IS NOT NULL THEN
        PERFORM os.check_result(task, result);
    END IF;
    more := os.release_lease(p, task);
    INSERT INTO os.task_result VALUES (p, task, attempt_no, 'done', held.worker, exit_code, NULL, NULL,
                                       user_time_us, system_time_us, peak_memory, held.started, now(), result);
    PERFORM os.settle_task(p, task, 'done');
    IF more IS NOT NULL THEN
        PERFORM os.end_copies(p, task, more);
    END IF;
    PERFORM os.drain_queue(p);
END
$$;
