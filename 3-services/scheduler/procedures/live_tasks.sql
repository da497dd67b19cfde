-- The tasks of a graph that are not over. Refuses a graph that there is not, and one that is over. Internal.
CREATE OR REPLACE FUNCTION os.live_tasks(p int, graph bigint) RETURNS bigint[]
LANGUAGE plpgsql AS $$
DECLARE
    graph_state text;
BEGIN
    SELECT g.state INTO graph_state FROM os.graph g WHERE g.p_key = p AND g.graph_id = graph;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no graph %', graph USING ERRCODE = 'TXS11', HINT = 'Its bucket is its low six bits.';
    END IF;
    IF graph_state <> 'running' THEN
        RAISE EXCEPTION 'graph % is % already', graph, graph_state USING ERRCODE = 'TXS10';
    END IF;
    RETURN ARRAY(SELECT t.task_id FROM os.task t
                  WHERE t.p_key = p AND t.task_id = ANY (os.graph_tasks(p, graph)) AND t.state NOT IN ('done', 'failed', 'cancelled')
                  ORDER BY t.task_id);
END
$$;
