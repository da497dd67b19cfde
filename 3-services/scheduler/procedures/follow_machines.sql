-- Workers follow the status of their machine; those that are closed lose what they have not begun. Internal; a drain follows.
CREATE OR REPLACE FUNCTION os.follow_machines(p int) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    one bigint;
BEGIN
    UPDATE os.worker w SET status = 'closed_by_machine'
     WHERE w.p_key = p AND w.status = 'up' AND w.machine IN (SELECT m.machine FROM os.machine m WHERE m.status = 'closed');
    UPDATE os.worker w SET status = 'up'
     WHERE w.p_key = p AND w.status = 'closed_by_machine' AND w.machine IN (SELECT m.machine FROM os.machine m WHERE m.status = 'up');
    IF FOUND THEN
        PERFORM os.unpark_tasks(p);
    END IF;
    FOR one IN SELECT l.task_id FROM os.task_lease l JOIN os.worker w ON w.p_key = p AND w.worker_id = l.worker_id
                WHERE l.p_key = p AND l.attempt = 0 AND w.status IN ('closed', 'closed_by_machine') ORDER BY l.task_id
    LOOP
        PERFORM os.lose_attempt(p, one, 'its worker was closed');
    END LOOP;
END
$$;
