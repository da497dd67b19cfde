-- Moves what waits under policy ageing up by one priority for every scheduler.ageing_ms (a minute) since it was submitted. Internal.
CREATE OR REPLACE FUNCTION os.age_queue(p int) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    period float8;
    one record;
BEGIN
    FOR one IN SELECT q.task_id, s.priority, t.submitted_at FROM os.task_queue q
                 JOIN os.task_spec s ON s.p_key = p AND s.task_id = q.task_id
                 JOIN os.task t ON t.p_key = p AND t.task_id = q.task_id
                WHERE q.p_key = p AND q.policy = 'ageing' ORDER BY q.task_id
    LOOP
        period := coalesce(period, greatest(os.setting('scheduler.ageing_ms', 60000), 1) / 1000.0);
        UPDATE os.task_queue q SET priority = -one.priority - floor(extract(epoch FROM now() - one.submitted_at) / period)::int
         WHERE q.p_key = p AND q.task_id = one.task_id;
    END LOOP;
END
$$;
