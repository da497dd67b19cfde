-- Gives a task to a worker that has room for it, named resources included, and notes why. For policies.
CREATE OR REPLACE FUNCTION os.assign_task(p int, task bigint, worker bigint, need_cores int, need_memory bigint, why text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    needed jsonb;
BEGIN
    SELECT s.options -> 'resources' INTO needed FROM os.task_spec s WHERE s.p_key = p AND s.task_id = task;
    UPDATE os.worker w SET unused_capacity = w.unused_capacity - need_cores, unused_memory = w.unused_memory - need_memory
     WHERE w.p_key = p AND w.worker_id = worker;
    INSERT INTO os.task (p_key, task_id, worker_id, state, decided_at, decision) VALUES (p, task, worker, 'assigned', now(), why)
        ON CONFLICT (p_key, task_id) DO UPDATE
       SET worker_id = EXCLUDED.worker_id, state = EXCLUDED.state, decided_at = EXCLUDED.decided_at, decision = EXCLUDED.decision;
    INSERT INTO os.task_lease (p_key, task_id, worker_id, cores, memory, more)
    VALUES (p, task, worker, need_cores, need_memory, CASE WHEN needed IS NOT NULL THEN jsonb_build_object('resources', needed) END);
    IF needed IS NOT NULL THEN
        UPDATE os.worker_resource r SET unused = r.unused - n.value::bigint
          FROM jsonb_each_text(needed) n
         WHERE r.p_key = p AND r.worker_id = worker AND r.resource = n.key;
    END IF;
END
$$;
