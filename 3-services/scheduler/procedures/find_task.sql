-- A task's row. Refuses one that there is not. Internal.
CREATE OR REPLACE FUNCTION os.find_task(p int, task bigint) RETURNS os.task
LANGUAGE plpgsql AS $$
DECLARE
    held os.task;
BEGIN
    SELECT * INTO held FROM os.task t WHERE t.p_key = p AND t.task_id = task;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no task %', task USING ERRCODE = 'TXS01', HINT = 'Its bucket is its low six bits.';
    END IF;
    RETURN held;
END
$$;
