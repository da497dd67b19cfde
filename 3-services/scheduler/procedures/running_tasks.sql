-- What a worker runs: all that it needs to take it over again, the leases renewed. A worker that restarts asks; it does not join.
CREATE OR REPLACE FUNCTION os.running_tasks(p int, worker bigint)
RETURNS TABLE (task_id bigint, attempt int, lease_until timestamptz, graph_id bigint, owner text, name text, kind text,
               program text, arguments text[], environment jsonb, inputs jsonb, outputs jsonb, cores int, memory bigint,
               timeout_ms int, needs jsonb, options jsonb)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT * FROM os.claim_tasks(p, worker, 0);
END
$$;
