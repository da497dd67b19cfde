-- All that running tasks needs; `needs` has the results of the tasks that each came after. Internal.
CREATE OR REPLACE FUNCTION os.describe_claims(p int, claimed bigint[], until timestamptz)
RETURNS TABLE (task_id bigint, attempt int, lease_until timestamptz, graph_id bigint, owner text, name text, kind text,
               program text, arguments text[], environment jsonb, inputs jsonb, outputs jsonb, cores int, memory bigint,
               timeout_ms int, needs jsonb, options jsonb)
LANGUAGE plpgsql AS $$
BEGIN
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
