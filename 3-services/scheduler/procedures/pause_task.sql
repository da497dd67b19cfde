-- A task begins only after resume_task; what it has not begun is taken from its worker, an attempt that runs goes on. Its state.
CREATE OR REPLACE FUNCTION os.pause_task(p int, task bigint) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    held os.task;
BEGIN
    PERFORM pg_advisory_xact_lock(7301, p);
    held := os.find_task(p, task);
    IF held.state IN ('done', 'failed', 'cancelled') THEN
        RAISE EXCEPTION 'task % is % already', task, held.state USING ERRCODE = 'TXS10';
    END IF;
    PERFORM os.pause_tasks(p, ARRAY[task]);
    PERFORM os.drain_queue(p);
    SELECT t.state INTO held.state FROM os.task t WHERE t.p_key = p AND t.task_id = task;
    RETURN held.state;
END
$$;
