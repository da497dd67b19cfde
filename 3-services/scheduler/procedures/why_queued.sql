-- why_pending for a task that waits for a worker. Internal.
CREATE OR REPLACE FUNCTION os.why_queued(p int, task bigint, spec os.task_spec) RETURNS TABLE (reason text, detail text, unblocked_by text)
LANGUAGE plpgsql AS $$
DECLARE
    entry record;
    limits os.queue%ROWTYPE;
    before bigint;
BEGIN
    SELECT x.priority, x.parked, x.why, x.queue INTO entry
      FROM (SELECT q.priority, q.parked, q.why, NULL::text AS queue FROM os.task_queue q WHERE q.p_key = p AND q.task_id = task
            UNION ALL SELECT q.priority, q.parked, q.why, q.queue FROM os.queue_task q WHERE q.p_key = p AND q.task_id = task) x;
    SELECT * INTO limits FROM os.queue q WHERE q.p_key = p AND q.queue = entry.queue;
    PERFORM 1 FROM os.worker w WHERE w.p_key = p AND w.status = 'up';
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'no_worker', format('no worker of bucket %s takes tasks', p), 'a worker that joins, or one that is opened';
    END IF;
    IF entry.why = 'paused' OR spec.options @> '{"paused": true}' THEN
        RETURN QUERY SELECT 'paused', 'somebody paused it', format('os.resume_task(%s, %s)', p, task);
    ELSIF entry.why = 'gang' THEN
        RETURN QUERY SELECT 'gang', format('it begins with the other tasks of gang %s', spec.options ->> 'gang'), 'room for all of them at once';
    ELSIF entry.parked THEN
        RETURN QUERY SELECT 'too_large', format('no worker of the bucket has %s cores, %s bytes%s', spec.cores, spec.memory,
                                                coalesce(' and ' || (spec.options ->> 'resources'), '')), 'a larger worker that joins';
    ELSIF limits.paused THEN
        RETURN QUERY SELECT 'paused', format('queue "%s" is paused', limits.queue), format('os.resume_queue(%s, %L)', p, limits.queue);
    ELSIF limits.running >= limits.concurrency THEN
        RETURN QUERY SELECT 'queue_full', format('%s tasks of queue "%s" run, its concurrency is %s', limits.running, limits.queue, limits.concurrency),
                            format('the end of one of its tasks, or os.make_queue(%s, %L, ...)', p, limits.queue);
    ELSIF limits.window_count >= limits.rate AND limits.window_from + make_interval(secs => limits.rate_ms / 1000.0) > now() THEN
        RETURN QUERY SELECT 'rate', format('queue "%s" begins %s tasks in %s ms', limits.queue, limits.rate, limits.rate_ms),
                            format('the time %s', limits.window_from + make_interval(secs => limits.rate_ms / 1000.0));
    ELSE
        before := CASE WHEN entry.queue IS NULL
                       THEN (SELECT count(*) FROM os.task_queue q WHERE q.p_key = p AND q.parked = false
                                                                    AND (q.priority, q.task_id) < (entry.priority, task))
                       ELSE (SELECT count(*) FROM os.queue_task q WHERE q.p_key = p AND q.queue = entry.queue AND q.parked = false
                                                                    AND (q.priority, q.task_id) < (entry.priority, task)) END;
        IF before > 0 THEN
            RETURN QUERY SELECT 'behind', format('%s tasks stand before it', before), 'their turn, or a higher priority';
        ELSE
            RETURN QUERY SELECT 'no_room', format('no worker has %s cores, %s bytes%s unused', spec.cores, spec.memory,
                                                  coalesce(' and ' || (spec.options ->> 'resources'), '')), 'the end of a task, or a worker that joins';
        END IF;
    END IF;
END
$$;
