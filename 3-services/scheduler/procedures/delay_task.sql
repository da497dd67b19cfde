-- Lets a task wait for a time. Internal.
CREATE OR REPLACE FUNCTION os.delay_task(p int, task bigint, until timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO os.task (p_key, task_id, worker_id, state) VALUES (p, task, NULL, 'delayed')
        ON CONFLICT (p_key, task_id) DO UPDATE SET worker_id = NULL, state = 'delayed';
    INSERT INTO os.task_timer VALUES (p, task, until);
    PERFORM pg_notify('os_timer', p::text);
END
$$;
