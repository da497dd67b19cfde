-- A task of a queue with limits got a worker: the queue counts it until release_more. Internal.
CREATE OR REPLACE FUNCTION os.begin_from_queue(p int, task bigint, of_queue text, need_cores int) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    q os.queue%ROWTYPE;
BEGIN
    DELETE FROM os.queue_task t WHERE t.p_key = p AND t.task_id = task;
    SELECT * INTO q FROM os.queue x WHERE x.p_key = p AND x.queue = of_queue;
    IF q.rate IS NOT NULL AND (q.window_from IS NULL OR q.window_from + make_interval(secs => q.rate_ms / 1000.0) <= now()) THEN
        q.window_from := now();
        q.window_count := 0;
    END IF;
    UPDATE os.queue x
       SET waiting = x.waiting - 1, running = x.running + 1, passed = x.passed + need_cores * 1000000::bigint / x.weight,
           window_from = q.window_from, window_count = q.window_count + 1
     WHERE x.p_key = p AND x.queue = of_queue;
    UPDATE os.task_lease l SET more = coalesce(l.more, '{}') || jsonb_build_object('queue', of_queue)
     WHERE l.p_key = p AND l.task_id = task;
END
$$;
