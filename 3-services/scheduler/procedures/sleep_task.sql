-- A running attempt ends and comes back as the next one after a time, whatever happens to workers meanwhile; that one finds what was saved in
-- its options. Neither a failure nor a loss. Until when it sleeps.
CREATE OR REPLACE FUNCTION os.sleep_task(p int, task bigint, attempt_no int, how_long_ms bigint, saved jsonb DEFAULT NULL) RETURNS timestamptz
LANGUAGE plpgsql AS $$
DECLARE
    held record;
    more jsonb;
    until timestamptz := now() + make_interval(secs => how_long_ms / 1000.0);
BEGIN
    SELECT * INTO held FROM os.check_attempt(p, task, attempt_no);
    IF coalesce(how_long_ms, -1) < 0 THEN
        RAISE EXCEPTION 'task % cannot sleep for % ms', task, how_long_ms USING ERRCODE = 'TXS07';
    END IF;
    IF held.state = 'cancelling' THEN
        RAISE EXCEPTION 'attempt % of task % is being cancelled', attempt_no, task
            USING ERRCODE = 'TXS02', HINT = 'End its process and report it by fail_task.';
    END IF;
    PERFORM 1 FROM os.task t JOIN os.graph g ON g.p_key = p AND g.graph_id = t.graph_id AND g.gang WHERE t.p_key = p AND t.task_id = task;
    IF FOUND THEN
        RAISE EXCEPTION 'task % is one of a gang, and cannot sleep alone', task USING ERRCODE = 'TXS10';
    END IF;
    IF saved IS NOT NULL THEN
        PERFORM os.check_result(task, saved);
        UPDATE os.task_spec s SET options = coalesce(s.options, '{}') || jsonb_build_object('saved', saved) WHERE s.p_key = p AND s.task_id = task;
    END IF;
    more := os.release_lease(p, task);
    INSERT INTO os.task_result (p_key, task_id, attempt, outcome, worker_id, started_at)
    VALUES (p, task, attempt_no, 'slept', held.worker, held.started);
    PERFORM os.delay_task(p, task, until);
    PERFORM os.unsettle_others(p, task, NULL, more);
    PERFORM os.drain_queue(p);
    RETURN until;
END
$$;
