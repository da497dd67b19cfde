-- A worker takes no more tasks of a bucket: those it has not begun go to others, those it runs end in peace; its status.
CREATE OR REPLACE FUNCTION os.leave_worker(p int, worker bigint) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    untouched bigint[];
    one bigint;
    new_status text;
BEGIN
    PERFORM pg_advisory_xact_lock(7301, p);
    PERFORM os.renew_worker(p, worker);
    UPDATE os.worker w SET status = CASE WHEN w.unused_capacity = w.capacity THEN 'left' ELSE 'draining' END
     WHERE w.p_key = p AND w.worker_id = worker;
    untouched := ARRAY(SELECT l.task_id FROM os.task_lease l
                        WHERE l.p_key = p AND l.worker_id = worker AND l.attempt = 0 ORDER BY l.task_id);
    FOREACH one IN ARRAY untouched LOOP
        PERFORM os.lose_attempt(p, one, 'its worker left');
    END LOOP;
    PERFORM os.drain_queue(p);
    SELECT w.status INTO new_status FROM os.worker w WHERE w.p_key = p AND w.worker_id = worker;
    RETURN new_status;
END
$$;
