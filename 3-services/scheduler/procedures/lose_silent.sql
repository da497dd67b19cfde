-- Workers and attempts whose lease ended are lost. A closed worker stays closed. Internal.
CREATE OR REPLACE FUNCTION os.lose_silent(p int) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    due bigint[];
    one bigint;
BEGIN
    due := ARRAY(SELECT w.worker_id FROM os.worker w
                  WHERE w.p_key = p AND w.status IN ('up', 'draining', 'closed', 'closed_by_machine') AND w.lease_until < now()
                  ORDER BY w.worker_id);
    FOREACH one IN ARRAY due LOOP
        UPDATE os.worker w SET status = CASE WHEN w.status = 'closed' THEN w.status ELSE 'dead' END, lease_until = 'infinity'
         WHERE w.p_key = p AND w.worker_id = one;
        PERFORM os.lose_worker(p, one, 'its worker was lost');
    END LOOP;

    due := ARRAY(SELECT l.task_id FROM os.task_lease l WHERE l.p_key = p AND l.lease_until < now() ORDER BY l.task_id);
    FOREACH one IN ARRAY due LOOP
        PERFORM os.lose_attempt(p, one, 'its lease ended');
    END LOOP;
END
$$;
