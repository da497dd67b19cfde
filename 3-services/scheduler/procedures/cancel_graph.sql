-- Cancels every task of a graph that is not over; how many.
CREATE OR REPLACE FUNCTION os.cancel_graph(p int, graph bigint, why text DEFAULT 'cancelled by request') RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    g os.graph%ROWTYPE;
    live bigint[];
    one bigint;
    now_is text;
BEGIN
    PERFORM pg_advisory_xact_lock(7301, p);
    SELECT * INTO g FROM os.graph x WHERE x.p_key = p AND x.graph_id = graph;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no graph %', graph USING ERRCODE = 'TXS11', HINT = 'Its bucket is its low six bits.';
    END IF;
    live := ARRAY(SELECT t.task_id FROM os.task t
                   WHERE t.p_key = p AND t.task_id = ANY (ARRAY(SELECT generate_series(g.first_task_id, g.first_task_id + (g.tasks - 1) * 64::bigint, 64)))
                     AND t.state NOT IN ('done', 'failed', 'cancelled') ORDER BY t.task_id);
    FOREACH one IN ARRAY live LOOP
        -- Cancelling one may have ended this one.
        SELECT t.state INTO now_is FROM os.task t WHERE t.p_key = p AND t.task_id = one;
        IF now_is NOT IN ('done', 'failed', 'cancelled') THEN
            PERFORM os.cancel_task(p, one, why);
        END IF;
    END LOOP;
    RETURN cardinality(live);
END
$$;
