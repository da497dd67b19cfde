-- Refuses a spawned task that needs tasks of another graph, or of none. Internal.
CREATE OR REPLACE FUNCTION os.check_spawn(p int, task_name text, graph bigint, needs bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    wrong bigint;
BEGIN
    SELECT n INTO wrong FROM unnest(needs) n
     WHERE NOT EXISTS (SELECT 1 FROM os.task t WHERE t.p_key = p AND t.task_id = n AND t.graph_id = graph)
     ORDER BY n LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'task "%" comes after task %, which is not in its parent''s graph', task_name, wrong USING ERRCODE = 'TXS05';
    END IF;
    SELECT n INTO wrong FROM unnest(needs) n JOIN os.task t ON t.p_key = p AND t.task_id = n
     WHERE t.state IN ('failed', 'cancelled') ORDER BY n LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'task "%" comes after task %, which did not end well', task_name, wrong USING ERRCODE = 'TXS10';
    END IF;
    PERFORM 1 FROM os.graph g WHERE g.p_key = p AND g.graph_id = graph AND g.gang;
    IF FOUND THEN
        RAISE EXCEPTION 'task "%": a gang cannot grow', task_name USING ERRCODE = 'TXS07';
    END IF;
END
$$;
