-- The tasks of a gang that are not over. Internal.
CREATE OR REPLACE FUNCTION os.gang_members(p int, graph bigint) RETURNS SETOF bigint
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT t.task_id FROM os.task t
                  WHERE t.p_key = p AND t.task_id = ANY (os.graph_tasks(p, graph)) AND t.state NOT IN ('done', 'failed', 'cancelled')
                  ORDER BY t.task_id;
END
$$;
