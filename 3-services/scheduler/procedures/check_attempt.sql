-- Fencing: refuses who does not hold the running attempt of a task (any more). Internal.
CREATE OR REPLACE FUNCTION os.check_attempt(p int, task bigint, attempt_no int, OUT state text, OUT worker bigint,
                                            OUT failures int, OUT started timestamptz)
LANGUAGE plpgsql AS $$
DECLARE
    last_attempt int;
BEGIN
    PERFORM pg_advisory_xact_lock(7301, p);
    SELECT t.state, t.worker_id, t.failures, t.started_at, t.attempt INTO state, worker, failures, started, last_attempt
      FROM os.task t WHERE t.p_key = p AND t.task_id = task;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no task %', task USING ERRCODE = 'TXS01', HINT = 'Its bucket is its low six bits.';
    END IF;
    IF last_attempt IS DISTINCT FROM attempt_no OR state NOT IN ('running', 'cancelling') THEN
        RAISE EXCEPTION 'attempt % of task % is not running', attempt_no, task
            USING ERRCODE = 'TXS02', DETAIL = format('The task is %s, its last attempt is %s.', state, last_attempt),
                  HINT = 'Stop the work: another attempt took over, or the task was ended.';
    END IF;
END
$$;
