-- Counts ended tasks (or, with negative numbers, tasks that live again) and ends or reopens the graph. Internal.
CREATE OR REPLACE FUNCTION os.count_in_graph(p int, graph bigint, more_done int, more_failed int, more_cancelled int)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    g os.graph%ROWTYPE;
BEGIN
    UPDATE os.graph x
       SET done = x.done + more_done, failed = x.failed + more_failed, cancelled = x.cancelled + more_cancelled
     WHERE x.p_key = p AND x.graph_id = graph RETURNING * INTO g;
    IF g.done + g.failed + g.cancelled < g.tasks THEN
        UPDATE os.graph x SET state = 'running', finished_at = NULL
         WHERE x.p_key = p AND x.graph_id = graph AND x.state <> 'running';
    ELSE
        UPDATE os.graph x
           SET finished_at = now(),
               state = CASE WHEN g.failed > 0 THEN 'failed' WHEN g.cancelled > 0 THEN 'cancelled' ELSE 'done' END
         WHERE x.p_key = p AND x.graph_id = graph;
    END IF;
END
$$;
