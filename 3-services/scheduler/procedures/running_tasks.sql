-- What a worker runs: all that it needs to take it over again. A worker that restarts beats (heartbeat_worker) and asks; it does not join.
CREATE OR REPLACE FUNCTION os.running_tasks(p int, worker bigint)
RETURNS TABLE (task_id bigint, attempt int, lease_until timestamptz, graph_id bigint, owner text, name text, kind text,
               program text, arguments text[], environment jsonb, inputs jsonb, outputs jsonb, cores int, memory bigint,
               timeout_ms int, needs jsonb, options jsonb)
LANGUAGE plpgsql AS $$
DECLARE
    until timestamptz;
    running bigint[];
BEGIN
    PERFORM pg_advisory_xact_lock(7301, p);
    SELECT w.lease_until INTO until FROM os.worker w WHERE w.p_key = p AND w.worker_id = worker;
    running := ARRAY(SELECT l.task_id FROM os.task_lease l
                      WHERE l.p_key = p AND l.worker_id = worker AND l.attempt > 0 ORDER BY l.task_id);
    RETURN QUERY SELECT * FROM os.describe_claims(p, running, until);
END
$$;
