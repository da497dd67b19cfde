-- A paused task may begin. Its state.
CREATE OR REPLACE FUNCTION os.resume_task(p int, task bigint) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    held os.task;
BEGIN
    PERFORM pg_advisory_xact_lock(7301, p);
    held := os.find_task(p, task);
    PERFORM os.resume_tasks(p, ARRAY[task]);
    PERFORM os.drain_queue(p);
    SELECT t.state INTO held.state FROM os.task t WHERE t.p_key = p AND t.task_id = task;
    RETURN held.state;
END
$$;
