-- Refuses a result that is too large. Internal.
CREATE OR REPLACE FUNCTION os.check_result(task bigint, result jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    most bigint := os.setting('scheduler.result_bytes_max', 1048576);
BEGIN
    IF octet_length(result::text) > most THEN
        RAISE EXCEPTION 'the result of task % has % bytes', task, octet_length(result::text)
            USING ERRCODE = 'TXS07', DETAIL = format('The setting scheduler.result_bytes_max is %s.', most),
                  HINT = 'Write it to a file, and give the file''s name.';
    END IF;
END
$$;
