-- The task that is next among the queues with limits of a bucket: of those that may begin one more the highest priority, then the one that
-- has had least by its weight. Internal.
CREATE OR REPLACE FUNCTION os.next_in_queues(p int, OUT task bigint, OUT rank int, OUT of_queue text, OUT cores int, OUT memory bigint,
                                             OUT policy text)
LANGUAGE plpgsql AS $$
BEGIN
    SELECT h.task_id, h.priority - q.priority, q.queue INTO task, rank, of_queue
      FROM os.queue q
     CROSS JOIN LATERAL (SELECT t.task_id, t.priority FROM os.queue_task t
                          WHERE t.p_key = p AND t.queue = q.queue AND t.parked = false
                          ORDER BY t.priority, t.task_id LIMIT 1) h
     WHERE q.p_key = p AND q.waiting > 0 AND NOT q.paused AND (q.concurrency IS NULL OR q.running < q.concurrency)
       AND (q.rate IS NULL OR q.window_count < q.rate OR q.window_from + make_interval(secs => q.rate_ms / 1000.0) <= now())
     ORDER BY 2, q.passed, h.task_id
     LIMIT 1;
    IF task IS NOT NULL THEN
        SELECT s.cores, s.memory, os.queue_policy(s.policy, s.options) INTO cores, memory, policy
          FROM os.task_spec s WHERE s.p_key = p AND s.task_id = task;
    END IF;
END
$$;
