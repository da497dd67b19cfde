-- A worker begins tasks that were assigned to it: everything that running them needs. They are its own under (task, attempt)
-- until the lease ends; a heartbeat renews it.
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
    RETURN QUERY SELECT * FROM os.describe_claims(p, claimed, until);
END
$$;
