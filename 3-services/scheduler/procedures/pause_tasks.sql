-- Notes tasks as paused and parks those that wait for a worker. Internal; a drain follows.
CREATE OR REPLACE FUNCTION os.pause_tasks(p int, tasks bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    one bigint;
    graph bigint;
BEGIN
    UPDATE os.task_spec s SET options = coalesce(s.options, '{}') || '{"paused": true}' WHERE s.p_key = p AND s.task_id = ANY (tasks);
    UPDATE os.task_queue q SET parked = true, why = 'paused' WHERE q.p_key = p AND q.task_id = ANY (tasks) AND q.why IS DISTINCT FROM 'gang';
    UPDATE os.queue_task q SET parked = true, why = 'paused' WHERE q.p_key = p AND q.task_id = ANY (tasks);
    FOR one IN SELECT l.task_id FROM os.task_lease l WHERE l.p_key = p AND l.task_id = ANY (tasks) AND l.attempt = 0 ORDER BY l.task_id LOOP
        -- One of a gang took the others along.
        PERFORM 1 FROM os.task_lease l WHERE l.p_key = p AND l.task_id = one;
        IF FOUND THEN
            PERFORM os.lose_attempt(p, one, 'it was paused');
        END IF;
    END LOOP;
    FOR graph IN SELECT DISTINCT (s.options ->> 'gang')::bigint FROM os.task_spec s
                  WHERE s.p_key = p AND s.task_id = ANY (tasks) AND s.options ? 'gang' ORDER BY 1
    LOOP
        PERFORM os.gather_gang(p, graph);
    END LOOP;
END
$$;
