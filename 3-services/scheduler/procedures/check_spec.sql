-- Refuses what no task can be. Internal.
CREATE OR REPLACE FUNCTION os.check_spec(
    task_name text, program text, cores int, memory bigint, max_attempts int, backoff_ms int, timeout_ms int, reply_to bigint, p int)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    wrong text;
BEGIN
    wrong := CASE
        WHEN coalesce(task_name, '') = '' OR length(task_name) > 200 THEN 'its name must have 1 to 200 characters'
        WHEN coalesce(program, '') = '' OR length(program) > 4096 THEN 'its program must have 1 to 4096 characters'
        WHEN coalesce(cores, 0) NOT BETWEEN 1 AND 4096 THEN 'cores must be 1 to 4096'
        WHEN coalesce(memory, -1) < 0 THEN 'memory must not be negative'
        WHEN coalesce(max_attempts, 0) NOT BETWEEN 1 AND 1000 THEN 'max_attempts must be 1 to 1000'
        WHEN coalesce(backoff_ms, -1) NOT BETWEEN 0 AND 86400000 THEN 'backoff_ms must be 0 to 86400000, a day'
        WHEN timeout_ms <= 0 THEN 'timeout_ms must be positive'
        WHEN reply_to & 63 <> p THEN 'reply_to must be a receiver of the task''s own bucket'
    END;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'invalid task "%": %', task_name, wrong USING ERRCODE = 'TXS07';
    END IF;
END
$$;
