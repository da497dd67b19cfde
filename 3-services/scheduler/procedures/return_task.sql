-- A worker that stops gives back an attempt that it began: the task is queued again at once. It counts neither as a failure nor
-- as a loss.
CREATE OR REPLACE FUNCTION os.return_task(p int, task bigint, attempt_no int, why text DEFAULT 'its worker stopped') RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM os.check_attempt(p, task, attempt_no);
    UPDATE os.task t SET losses = t.losses - 1 WHERE t.p_key = p AND t.task_id = task;
    PERFORM os.lose_attempt(p, task, why);
    PERFORM os.drain_queue(p);
END
$$;
