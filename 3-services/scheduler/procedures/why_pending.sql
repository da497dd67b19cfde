-- Why a task has not begun, and what would let it. A row for each reason; one for a task that runs or is over, too.
CREATE OR REPLACE FUNCTION os.why_pending(p int, task bigint) RETURNS TABLE (reason text, detail text, unblocked_by text)
LANGUAGE plpgsql AS $$
DECLARE
    held os.task := os.find_task(p, task);
    spec os.task_spec;
BEGIN
    SELECT * INTO spec FROM os.task_spec s WHERE s.p_key = p AND s.task_id = task;
    IF held.state = 'queued' THEN
        RETURN QUERY SELECT * FROM os.why_queued(p, task, spec);
        RETURN;
    END IF;
    IF spec.options @> '{"paused": true}' AND held.state IN ('waiting', 'delayed') THEN
        RETURN QUERY SELECT 'paused', 'somebody paused it', format('os.resume_task(%s, %s)', p, task);
    END IF;
    RETURN QUERY
    SELECT held.state, format('it needs task %s (%s), which is %s', n.task_id, s.name, n.state), format('the end of task %s', n.task_id)
      FROM os.task_dependency d
      JOIN os.task n ON n.p_key = p AND n.task_id = d.needs_id AND n.state <> 'done'
      LEFT JOIN os.task_spec s ON s.p_key = p AND s.task_id = n.task_id
     WHERE held.state = 'waiting' AND d.p_key = p AND d.task_id = task
    UNION ALL
    SELECT held.state, format('it waits until %s, after %s failures', d.due_at, held.failures), format('the time %s', d.due_at)
      FROM os.task_timer d WHERE d.p_key = p AND d.task_id = task
    UNION ALL
    SELECT held.state, format('worker %s has it since %s and has not begun', held.worker_id, held.decided_at), format('worker %s', held.worker_id)
     WHERE held.state = 'assigned'
    UNION ALL
    SELECT held.state, format('attempt %s runs at worker %s since %s', held.attempt, held.worker_id, held.started_at), ''
     WHERE held.state IN ('running', 'cancelling')
    UNION ALL
    SELECT 'over', format('it is %s', held.state), CASE held.state WHEN 'done' THEN '' ELSE format('os.retry_task(%s, %s)', p, task) END
     WHERE held.state IN ('done', 'failed', 'cancelled');
END
$$;
