-- Paused tasks may begin: those that are parked for it wait in their order again. Internal; a drain follows.
CREATE OR REPLACE FUNCTION os.resume_tasks(p int, tasks bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    graph bigint;
BEGIN
    UPDATE os.task_spec s SET options = nullif(s.options - 'paused', '{}') WHERE s.p_key = p AND s.task_id = ANY (tasks) AND s.options ? 'paused';
    UPDATE os.task_queue q SET parked = false, why = NULL WHERE q.p_key = p AND q.task_id = ANY (tasks) AND q.why = 'paused';
    UPDATE os.queue_task q SET parked = false, why = NULL WHERE q.p_key = p AND q.task_id = ANY (tasks) AND q.why = 'paused';
    FOR graph IN SELECT DISTINCT (s.options ->> 'gang')::bigint FROM os.task_spec s
                  WHERE s.p_key = p AND s.task_id = ANY (tasks) AND s.options ? 'gang' ORDER BY 1
    LOOP
        PERFORM os.gather_gang(p, graph);
    END LOOP;
END
$$;
