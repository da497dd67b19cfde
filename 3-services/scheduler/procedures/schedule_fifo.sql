-- The paper's Figure 2: the first worker of the bucket that has room gets the task. Null: none has.
CREATE OR REPLACE FUNCTION os.schedule_fifo(p int, task bigint, need_cores int DEFAULT 1, need_memory bigint DEFAULT 0)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    chosen bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(7301, p);
    SELECT worker_id INTO chosen FROM os.worker
     WHERE unused_capacity >= need_cores AND unused_memory >= need_memory AND status = 'up' AND p_key = p
     ORDER BY worker_id
     LIMIT 1;
    IF chosen IS NOT NULL THEN
        UPDATE os.worker SET unused_capacity = unused_capacity - need_cores, unused_memory = unused_memory - need_memory
         WHERE worker_id = chosen AND p_key = p;
        INSERT INTO os.task (p_key, task_id, worker_id, state, decided_at) VALUES (p, task, chosen, 'assigned', now())
            ON CONFLICT (p_key, task_id) DO UPDATE SET worker_id = EXCLUDED.worker_id, state = EXCLUDED.state, decided_at = EXCLUDED.decided_at;
        INSERT INTO os.task_lease (p_key, task_id, worker_id, cores, memory) VALUES (p, task, chosen, need_cores, need_memory);
    END IF;
    RETURN chosen;
END
$$;
