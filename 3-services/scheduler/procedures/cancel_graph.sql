-- Cancels every task of a graph that is not over; how many.
CREATE OR REPLACE FUNCTION os.cancel_graph(p int, graph bigint, why text DEFAULT 'cancelled by request') RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    g os.graph%ROWTYPE;
    all_ids bigint[];
    ended bigint[];
    live bigint[];
    one bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(7301, p);
    SELECT * INTO g FROM os.graph x WHERE x.p_key = p AND x.graph_id = graph;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no graph %', graph USING ERRCODE = 'TXS11', HINT = 'Its bucket is its low six bits.';
    END IF;
    all_ids := os.graph_tasks(p, graph);
    -- What no worker has goes at once, so that nothing of the graph gets the room that the others leave.
    ended := ARRAY(SELECT t.task_id FROM os.task t
                    WHERE t.p_key = p AND t.task_id = ANY (all_ids) AND t.state IN ('waiting', 'queued', 'delayed'));
    IF cardinality(ended) > 0 THEN
        DELETE FROM os.task_queue q WHERE q.p_key = p AND q.task_id = ANY (ended);
        FOR one IN SELECT q.task_id FROM os.queue_task q WHERE q.p_key = p AND q.task_id = ANY (ended) ORDER BY q.task_id LOOP
            PERFORM os.leave_queue(p, one);
        END LOOP;
        DELETE FROM os.task_timer t WHERE t.p_key = p AND t.task_id = ANY (ended);
        INSERT INTO os.task_result (p_key, task_id, attempt, outcome, error)
        SELECT p, id, 0, 'cancelled', why FROM unnest(ended) id ON CONFLICT DO NOTHING;
        UPDATE os.task t SET state = 'cancelled', finished_at = now(), waiting_for = 0
         WHERE t.p_key = p AND t.task_id = ANY (ended);
        PERFORM os.tell_ended(p, ended, 'cancelled');
        PERFORM os.count_in_graph(p, graph, 0, 0, cardinality(ended));
        PERFORM pg_notify('os_graph_' || graph, 'cancelled');
    END IF;
    live := ARRAY(SELECT t.task_id FROM os.task t
                   WHERE t.p_key = p AND t.task_id = ANY (all_ids) AND t.state IN ('assigned', 'running', 'cancelling') ORDER BY t.task_id);
    FOREACH one IN ARRAY live LOOP
        -- One of a gang takes the others along.
        PERFORM 1 FROM os.task t WHERE t.p_key = p AND t.task_id = one AND t.state IN ('assigned', 'running', 'cancelling');
        IF FOUND THEN
            PERFORM os.cancel_task(p, one, why);
        END IF;
    END LOOP;
    RETURN cardinality(ended) + cardinality(live);
END
$$;
