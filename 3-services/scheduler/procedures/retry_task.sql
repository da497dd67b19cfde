-- Lets a failed or cancelled task live again, and those that were cancelled because of it; its new state.
CREATE OR REPLACE FUNCTION os.retry_task(p int, task bigint) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    held os.task;
    revived bigint[];
    one bigint;
    needs int;
    new_state text;
BEGIN
    PERFORM pg_advisory_xact_lock(7301, p);
    held := os.find_task(p, task);
    IF held.state NOT IN ('failed', 'cancelled') THEN
        RAISE EXCEPTION 'task % is %', task, held.state
            USING ERRCODE = 'TXS10', HINT = 'Only a failed or cancelled task can be tried again.';
    END IF;
    revived := ARRAY(SELECT r.task_id FROM os.task_result r
                      WHERE r.p_key = p AND r.attempt = 0 AND r.cause_task_id = task ORDER BY r.task_id);
    DELETE FROM os.task_result r WHERE r.p_key = p AND r.attempt = 0 AND r.task_id = ANY (revived || task);
    UPDATE os.task t SET failures = 0, losses = 0, worker_id = NULL, state = 'waiting', finished_at = NULL
     WHERE t.p_key = p AND t.task_id = ANY (revived || task);
    FOREACH one IN ARRAY revived || task LOOP
        SELECT count(*) INTO needs FROM os.task_dependency d
         WHERE d.p_key = p AND d.task_id = one
           AND (SELECT t.state FROM os.task t WHERE t.p_key = p AND t.task_id = d.needs_id) <> 'done';
        UPDATE os.task t SET waiting_for = needs WHERE t.p_key = p AND t.task_id = one;
        IF needs = 0 THEN
            PERFORM os.make_runnable(p, one);
        END IF;
    END LOOP;
    IF held.graph_id IS NOT NULL THEN
        PERFORM os.count_in_graph(p, held.graph_id, 0, -(held.state = 'failed')::int,
                                  -cardinality(revived) - (held.state = 'cancelled')::int);
    END IF;
    PERFORM os.drain_queue(p);
    SELECT t.state INTO new_state FROM os.task t WHERE t.p_key = p AND t.task_id = task;
    RETURN new_state;
END
$$;
