-- What each worker has left, taken over all buckets that it serves: it offers its capacity to each. Reads every bucket: on Citus every
-- node. Internal.
CREATE OR REPLACE FUNCTION os.free_workers() RETURNS TABLE (worker_id bigint, cores_left bigint, memory_left bigint)
LANGUAGE plpgsql AS $$
BEGIN
    -- The paper's Figure 4 without `p_key = P`.
    RETURN QUERY
    SELECT w.worker_id, max(w.capacity) - sum(w.capacity - w.unused_capacity), (max(w.memory) - sum(w.memory - w.unused_memory))::bigint
      FROM os.worker w WHERE w.p_key BETWEEN 0 AND 63 AND w.status IN ('up', 'draining', 'closed', 'closed_by_machine')
     GROUP BY w.worker_id HAVING bool_or(w.status = 'up');
END
$$;
