-- Queues a task in a queue with limits, which a fair share makes when it is new. Internal.
CREATE OR REPLACE FUNCTION os.enqueue_in_queue(p int, task bigint, queue_name text, prior int, parked_why text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    q os.queue%ROWTYPE;
    least_passed bigint;
BEGIN
    SELECT * INTO q FROM os.queue x WHERE x.p_key = p AND x.queue = queue_name;
    IF NOT FOUND THEN
        INSERT INTO os.queue (p_key, queue, weight)
        VALUES (p, queue_name, coalesce((SELECT s.weight FROM os.share s WHERE s.name = queue_name), 1))
        RETURNING * INTO q;
    END IF;
    IF q.waiting = 0 AND q.running = 0 THEN
        -- Who had nothing to do meanwhile has saved nothing up.
        SELECT min(x.passed) INTO least_passed FROM os.queue x WHERE x.p_key = p AND x.waiting + x.running > 0;
        q.passed := greatest(q.passed, coalesce(least_passed, 0));
    END IF;
    INSERT INTO os.task (p_key, task_id, worker_id, state) VALUES (p, task, NULL, 'queued')
        ON CONFLICT (p_key, task_id) DO UPDATE SET worker_id = NULL, state = 'queued';
    INSERT INTO os.queue_task (p_key, task_id, queue, priority, parked, why)
    VALUES (p, task, queue_name, -prior, parked_why IS NOT NULL, parked_why);
    UPDATE os.queue x SET waiting = x.waiting + 1, passed = q.passed WHERE x.p_key = p AND x.queue = queue_name;
    IF q.rate IS NOT NULL THEN
        PERFORM pg_notify('os_timer', p::text);
    END IF;
END
$$;
