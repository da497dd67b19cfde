-- Places a task on the first worker of bucket p that has room and returns the worker; a task that finds
-- no room waits, and the result is NULL. The paper's Figure 2, safe under concurrency on PostgreSQL too.
CREATE FUNCTION demo.schedule_fifo(p integer, task bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    chosen bigint;
BEGIN
    SELECT worker_id INTO chosen
    FROM demo.worker
    WHERE p_key = p AND unused_capacity > 0
    ORDER BY worker_id
    LIMIT 1
    FOR UPDATE;

    IF NOT FOUND THEN
        INSERT INTO demo.task (p_key, task_id) VALUES (p, task);
        RETURN NULL;
    END IF;

    UPDATE demo.worker SET unused_capacity = unused_capacity - 1
    WHERE p_key = p AND worker_id = chosen;
    INSERT INTO demo.task (p_key, task_id, worker_id, state)
    VALUES (p, task, chosen, 'running');
    RETURN chosen;
END
$$;
