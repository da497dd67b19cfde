-- A worker begins tasks that were assigned to it: everything that running them needs. They are its own under (task, attempt)
-- until the lease ends; a heartbeat renews it. `needs` has the results of the tasks that each came after. how_many 0: what it runs already.
CREATE OR REPLACE FUNCTION os.claim_tasks(p int, worker bigint, how_many int DEFAULT 1)
RETURNS TABLE (task_id bigint, attempt int, lease_until timestamptz, graph_id bigint, owner text, name text, kind text,
               program text, arguments text[], environment jsonb, inputs jsonb, outputs jsonb, cores int, memory bigint,
               timeout_ms int, needs jsonb, options jsonb)
LANGUAGE plpgsql AS $$
DECLARE
    until timestamptz;
    claimed bigint[];
BEGIN
    PERFORM pg_advisory_xact_lock(7301, p);
    until := os.renew_worker(p, worker);
    IF how_many > 0 THEN
        claimed := ARRAY(SELECT l.task_id FROM os.task_lease l
                          WHERE l.p_key = p AND l.worker_id = worker AND l.attempt = 0 ORDER BY l.task_id LIMIT how_many);
        IF cardinality(claimed) = 0 THEN
            RETURN;
        END IF;
        UPDATE os.task t SET state = 'running', attempt = t.attempt + 1, started_at = now()
         WHERE t.p_key = p AND t.task_id = ANY (claimed);
        UPDATE os.task_lease l
           SET lease_until = until,
               attempt = (SELECT t.attempt FROM os.task t WHERE t.p_key = p AND t.task_id = l.task_id)
         WHERE l.p_key = p AND l.task_id = ANY (claimed);
    ELSE
        claimed := ARRAY(SELECT l.task_id FROM os.task_lease l
                          WHERE l.p_key = p AND l.worker_id = worker AND l.attempt > 0 ORDER BY l.task_id);
        UPDATE os.task_lease l SET lease_until = until WHERE l.p_key = p AND l.task_id = ANY (claimed);
    END IF;
    RETURN QUERY
    SELECT t.task_id, t.attempt, until, t.graph_id, coalesce(s.owner, ''), coalesce(s.name, ''), coalesce(s.kind, 'exec'),
           coalesce(s.program, ''), coalesce(s.arguments, '{}'), coalesce(s.environment, '{}'), coalesce(s.inputs, '[]'),
           coalesce(s.outputs, '[]'), coalesce(s.cores, 1), coalesce(s.memory, 0), s.timeout_ms,
           CASE WHEN t.graph_id IS NULL THEN '{}' ELSE os.needed_results(p, t.task_id) END, s.options
      FROM os.task t LEFT JOIN os.task_spec s ON s.p_key = p AND s.task_id = t.task_id
     WHERE t.p_key = p AND t.task_id = ANY (claimed)
     ORDER BY t.task_id;
END
$$;
