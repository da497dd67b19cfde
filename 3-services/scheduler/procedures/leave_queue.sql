-- Takes a task out of the queue in which it waits, whichever that is. Internal.
CREATE OR REPLACE FUNCTION os.leave_queue(p int, task bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    left_queue text;
BEGIN
    DELETE FROM os.task_queue q WHERE q.p_key = p AND q.task_id = task;
    IF NOT FOUND THEN
        DELETE FROM os.queue_task q WHERE q.p_key = p AND q.task_id = task RETURNING q.queue INTO left_queue;
        UPDATE os.queue x SET waiting = x.waiting - 1 WHERE x.p_key = p AND x.queue = left_queue;
    END IF;
END
$$;
