-- Does what is due in a bucket: delayed tasks become runnable, workers and attempts whose lease ended are lost, the queue is
-- drained. Returns when something is due next; null: nothing waits for time.
CREATE OR REPLACE FUNCTION os.tick_scheduler(p int) RETURNS timestamptz
LANGUAGE plpgsql AS $$
DECLARE
    due bigint[];
    one bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(7301, p);
    due := ARRAY(SELECT t.task_id FROM os.task_timer t WHERE t.p_key = p AND t.due_at <= now() ORDER BY t.due_at, t.task_id);
    FOREACH one IN ARRAY due LOOP
        DELETE FROM os.task_timer t WHERE t.p_key = p AND t.task_id = one;
        PERFORM os.make_runnable(p, one);
    END LOOP;

    due := ARRAY(SELECT w.worker_id FROM os.worker w
                  WHERE w.p_key = p AND w.status IN ('up', 'draining') AND w.lease_until < now() ORDER BY w.worker_id);
    FOREACH one IN ARRAY due LOOP
        UPDATE os.worker w SET status = 'dead' WHERE w.p_key = p AND w.worker_id = one;
        PERFORM os.lose_worker(p, one, 'its worker was lost');
    END LOOP;

    due := ARRAY(SELECT l.task_id FROM os.task_lease l WHERE l.p_key = p AND l.lease_until < now() ORDER BY l.task_id);
    FOREACH one IN ARRAY due LOOP
        PERFORM os.lose_attempt(p, one, 'its lease ended');
    END LOOP;

    PERFORM os.drain_queue(p);
    RETURN least((SELECT min(t.due_at) FROM os.task_timer t WHERE t.p_key = p),
                 (SELECT min(w.lease_until) FROM os.worker w WHERE w.p_key = p AND w.status IN ('up', 'draining')),
                 (SELECT min(l.lease_until) FROM os.task_lease l WHERE l.p_key = p));
END
$$;
