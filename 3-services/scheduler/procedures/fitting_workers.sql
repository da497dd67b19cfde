-- The workers of a bucket that have room for a task, named resources included. For policies.
CREATE OR REPLACE FUNCTION os.fitting_workers(p int, task bigint, need_cores int, need_memory bigint)
RETURNS TABLE (worker_id bigint, capacity int, unused_capacity int, memory bigint, unused_memory bigint)
LANGUAGE plpgsql AS $$
DECLARE
    needed jsonb;
BEGIN
    SELECT s.options -> 'resources' INTO needed FROM os.task_spec s WHERE s.p_key = p AND s.task_id = task;
    RETURN QUERY
    SELECT w.worker_id, w.capacity, w.unused_capacity, w.memory, w.unused_memory FROM os.worker w
     WHERE w.p_key = p AND w.status = 'up' AND w.unused_capacity >= need_cores AND w.unused_memory >= need_memory
       AND (needed IS NULL OR NOT EXISTS (
            SELECT 1 FROM jsonb_each_text(needed) n
              LEFT JOIN os.worker_resource r ON r.p_key = p AND r.worker_id = w.worker_id AND r.resource = n.key
             WHERE coalesce(r.unused, 0) < n.value::bigint));
END
$$;
