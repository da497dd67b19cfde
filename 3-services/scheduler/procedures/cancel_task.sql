-- Cancels a task and all that need it; its state: cancelled, or cancelling while a worker still ends its process.
CREATE OR REPLACE FUNCTION os.cancel_task(p int, task bigint, why text DEFAULT 'cancelled by request') RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    held os.task;
    more jsonb;
BEGIN
    PERFORM pg_advisory_xact_lock(7301, p);
    held := os.find_task(p, task);
    IF held.state IN ('done', 'failed', 'cancelled') THEN
        RAISE EXCEPTION 'task % is % already', task, held.state USING ERRCODE = 'TXS10';
    END IF;
    IF held.state IN ('running', 'cancelling') THEN
        UPDATE os.task t SET state = 'cancelling' WHERE t.p_key = p AND t.task_id = task;
        PERFORM pg_notify('os_worker_' || held.worker_id, 'cancel ' || task);
        RETURN 'cancelling';
    END IF;
    PERFORM os.leave_queue(p, task);
    DELETE FROM os.task_timer t WHERE t.p_key = p AND t.task_id = task;
    more := os.release_lease(p, task);
    INSERT INTO os.task_result (p_key, task_id, attempt, outcome, error) VALUES (p, task, 0, 'cancelled', why)
        ON CONFLICT DO NOTHING;
    PERFORM os.settle_task(p, task, 'cancelled');
    PERFORM os.unsettle_others(p, task, held.graph_id, more);
    PERFORM os.drain_queue(p);
    RETURN 'cancelled';
END
$$;
