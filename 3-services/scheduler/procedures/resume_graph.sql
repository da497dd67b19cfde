-- The tasks of a graph may begin, those that were paused by themselves, too.
CREATE OR REPLACE FUNCTION os.resume_graph(p int, graph bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    live bigint[];
BEGIN
    PERFORM pg_advisory_xact_lock(7301, p);
    live := os.live_tasks(p, graph);
    UPDATE os.graph g SET options = coalesce(g.options, '{}') || '{"paused": false}' WHERE g.p_key = p AND g.graph_id = graph;
    PERFORM os.resume_tasks(p, live);
    PERFORM os.drain_queue(p);
END
$$;
