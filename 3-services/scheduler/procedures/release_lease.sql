-- Gives back what a task holds of its worker; a worker that drains has left when nothing is held. What it held beside cores and memory,
-- null for most. Internal.
CREATE OR REPLACE FUNCTION os.release_lease(p int, task bigint) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    held os.task_lease%ROWTYPE;
    has_left bool;
BEGIN
    DELETE FROM os.task_lease l WHERE l.p_key = p AND l.task_id = task RETURNING * INTO held;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    UPDATE os.worker w
       SET unused_capacity = w.unused_capacity + held.cores, unused_memory = w.unused_memory + held.memory
     WHERE w.p_key = p AND w.worker_id = held.worker_id
    RETURNING w.status = 'draining' AND w.unused_capacity = w.capacity INTO has_left;
    IF has_left THEN
        UPDATE os.worker w SET status = 'left' WHERE w.p_key = p AND w.worker_id = held.worker_id;
    END IF;
    IF held.more IS NOT NULL THEN
        PERFORM os.release_more(p, task, held.worker_id, held.cores, held.more);
    END IF;
    RETURN held.more;
END
$$;
