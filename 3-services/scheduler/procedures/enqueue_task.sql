-- Queues a task until a worker has room for it; a task that is queued stays where it is. Internal.
CREATE OR REPLACE FUNCTION os.enqueue_task(
    p int, task bigint, need_cores int DEFAULT 1, need_memory bigint DEFAULT 0, by_policy text DEFAULT 'fifo', prior int DEFAULT 0,
    needed jsonb DEFAULT NULL, parked_why text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO os.task (p_key, task_id, worker_id, state) VALUES (p, task, NULL, 'queued')
        ON CONFLICT (p_key, task_id) DO UPDATE SET worker_id = NULL, state = 'queued';
    -- The index counts upwards, so the priority that runs first is kept as the smallest.
    INSERT INTO os.task_queue (p_key, task_id, priority, cores, memory, policy, parked, resources, why)
    VALUES (p, task, -prior, need_cores, need_memory, by_policy, parked_why IS NOT NULL, needed, parked_why)
        ON CONFLICT (p_key, task_id) DO NOTHING;
END
$$;
