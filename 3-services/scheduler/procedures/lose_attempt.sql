-- Takes a task from a worker that is lost: back to the queue, once. The loss counts as an attempt, not as a failure;
-- a task that loses worker after worker is given up. Internal.
CREATE OR REPLACE FUNCTION os.lose_attempt(p int, task bigint, why text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    held os.task;
    more jsonb;
BEGIN
    SELECT * INTO held FROM os.task t WHERE t.p_key = p AND t.task_id = task;
    more := os.release_lease(p, task);
    IF held.state IN ('running', 'cancelling') THEN
        INSERT INTO os.task_result (p_key, task_id, attempt, outcome, worker_id, error, started_at)
        VALUES (p, task, held.attempt, CASE held.state WHEN 'cancelling' THEN 'cancelled' ELSE 'lost' END, held.worker_id, why,
                held.started_at);
        UPDATE os.task t SET losses = held.losses + 1 WHERE t.p_key = p AND t.task_id = task;
    END IF;
    IF held.state = 'cancelling' OR more ? 'backup_of' THEN
        PERFORM os.settle_task(p, task, 'cancelled');
    ELSIF held.state = 'running' AND held.losses + 1 >= os.setting('scheduler.losses_max', 10) THEN
        PERFORM os.settle_task(p, task, 'failed');
    ELSE
        PERFORM os.make_runnable(p, task);
    END IF;
    PERFORM os.unsettle_others(p, task, held.graph_id, more);
END
$$;
