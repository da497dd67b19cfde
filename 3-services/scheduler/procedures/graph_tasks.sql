-- The tasks of a graph: those that it was submitted with, in their order, and those that they spawned. Internal.
CREATE OR REPLACE FUNCTION os.graph_tasks(p int, graph bigint) RETURNS bigint[]
LANGUAGE plpgsql AS $$
DECLARE
    g os.graph%ROWTYPE;
    spawned bigint[];
BEGIN
    SELECT * INTO g FROM os.graph x WHERE x.p_key = p AND x.graph_id = graph;
    spawned := ARRAY(SELECT s.task_id FROM os.spawned_task s WHERE s.p_key = p AND s.graph_id = graph ORDER BY s.task_id);
    RETURN ARRAY(SELECT generate_series(g.first_task_id, g.first_task_id + (g.tasks - cardinality(spawned) - 1) * 64::bigint, 64)) || spawned;
END
$$;
