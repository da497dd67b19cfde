-- Does what is due in a bucket: delayed tasks become runnable, workers and attempts whose lease ended are lost, closed workers lose what
-- they have not begun, schedules submit, the queue is drained. Returns when something is due next; null: nothing waits for time.
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
    PERFORM os.lose_silent(p);
    PERFORM os.follow_machines(p);
    PERFORM os.run_crons(p);
    PERFORM os.age_queue(p);
    PERFORM os.drain_queue(p);
    RETURN least((SELECT min(c.next_at) FROM os.cron c WHERE c.p_key = p AND NOT c.paused),
                 (SELECT min(t.due_at) FROM os.task_timer t WHERE t.p_key = p),
                 (SELECT min(w.lease_until) FROM os.worker w WHERE w.p_key = p AND w.status IN ('up', 'draining', 'closed', 'closed_by_machine')
                                                               AND w.lease_until <> 'infinity'),
                 (SELECT min(l.lease_until) FROM os.task_lease l WHERE l.p_key = p),
                 (SELECT min(q.window_from + make_interval(secs => q.rate_ms / 1000.0)) FROM os.queue q
                   WHERE q.p_key = p AND q.waiting > 0 AND NOT q.paused AND q.window_count >= q.rate),
                 (SELECT now() + make_interval(secs => os.setting('scheduler.ageing_ms', 60000) / 1000.0) FROM os.task_queue q
                   WHERE q.p_key = p AND q.policy = 'ageing' ORDER BY q.task_id LIMIT 1));
END
$$;
