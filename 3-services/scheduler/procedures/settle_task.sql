-- Ends a task for good: its graph counts it, tasks that need it become runnable or are cancelled, who asked is told. Internal.
CREATE OR REPLACE FUNCTION os.settle_task(p int, task bigint, final_state text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    graph bigint;
    next_tasks bigint[];
    one bigint;
    cancelled_tasks bigint[];
    all_cancelled int := 0;
BEGIN
    UPDATE os.task t SET state = final_state, finished_at = now(), waiting_for = 0
     WHERE t.p_key = p AND t.task_id = task RETURNING t.graph_id INTO graph;
    PERFORM os.tell_ended(p, ARRAY[task], final_state);
    IF graph IS NULL THEN
        PERFORM pg_notify('os_task_' || task, final_state);
        RETURN;
    END IF;

    next_tasks := ARRAY(SELECT d.task_id FROM os.task_dependency d WHERE d.p_key = p AND d.needs_id = task ORDER BY d.task_id);
    IF final_state = 'done' THEN
        FOREACH one IN ARRAY next_tasks LOOP
            UPDATE os.task t SET waiting_for = t.waiting_for - 1
             WHERE t.p_key = p AND t.task_id = one AND t.state = 'waiting';
            PERFORM 1 FROM os.task t WHERE t.p_key = p AND t.task_id = one AND t.state = 'waiting' AND t.waiting_for = 0;
            IF FOUND THEN
                PERFORM os.make_runnable(p, one);
            END IF;
        END LOOP;
    ELSE
        -- Everything that needs it, at any distance, can never run.
        WHILE cardinality(next_tasks) > 0 LOOP
            cancelled_tasks := ARRAY(SELECT t.task_id FROM os.task t
                                      WHERE t.p_key = p AND t.task_id = ANY (next_tasks) AND t.state = 'waiting');
            EXIT WHEN cardinality(cancelled_tasks) = 0;
            INSERT INTO os.task_result (p_key, task_id, attempt, outcome, error, cause_task_id)
            SELECT p, id, 0, 'cancelled',
                   format('it needs task %s, which %s', task, CASE final_state WHEN 'failed' THEN 'failed' ELSE 'was cancelled' END), task
              FROM unnest(cancelled_tasks) id
                ON CONFLICT DO NOTHING;
            UPDATE os.task t SET state = 'cancelled', finished_at = now()
             WHERE t.p_key = p AND t.task_id = ANY (cancelled_tasks);
            PERFORM os.tell_ended(p, cancelled_tasks, 'cancelled');
            all_cancelled := all_cancelled + cardinality(cancelled_tasks);
            next_tasks := ARRAY(SELECT DISTINCT d.task_id FROM os.task_dependency d
                                 WHERE d.p_key = p AND d.needs_id = ANY (cancelled_tasks) ORDER BY 1);
        END LOOP;
    END IF;
    PERFORM os.count_in_graph(p, graph, (final_state = 'done')::int, (final_state = 'failed')::int,
                              (final_state = 'cancelled')::int + all_cancelled);
    PERFORM pg_notify('os_graph_' || graph, task || ' ' || final_state);
END
$$;
