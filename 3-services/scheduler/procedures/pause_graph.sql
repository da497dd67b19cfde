-- No task of a graph begins until resume_graph, those that its tasks spawn neither; attempts that run go on.
CREATE OR REPLACE FUNCTION os.pause_graph(p int, graph bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    live bigint[];
BEGIN
    PERFORM pg_advisory_xact_lock(7301, p);
    live := os.live_tasks(p, graph);
    UPDATE os.graph g SET options = coalesce(g.options, '{}') || '{"paused": true}' WHERE g.p_key = p AND g.graph_id = graph;
    PERFORM os.pause_tasks(p, live);
    PERFORM os.drain_queue(p);
END
$$;
