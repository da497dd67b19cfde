-- Runs a task of kind sql: its function with its arguments, and its end with the result, in one transaction: exactly once. An error of the
-- function undoes what it did and fails the attempt. The new state. The function may touch any bucket.
CREATE OR REPLACE FUNCTION os.run_sql_task(p int, task bigint, attempt_no int) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    spec record;
    result jsonb;
    new_state text;
BEGIN
    PERFORM os.check_attempt(p, task, attempt_no);
    SELECT s.kind, s.program, s.arguments, s.options ->> 'code' AS code INTO spec FROM os.task_spec s WHERE s.p_key = p AND s.task_id = task;
    IF spec.kind <> 'sql' THEN
        RAISE EXCEPTION 'task % is of kind %, not sql', task, spec.kind USING ERRCODE = 'TXS10';
    END IF;
    BEGIN
        IF os.code_version(spec.program) <> spec.code THEN
            RAISE EXCEPTION 'function "%" is another one than when task % was submitted', spec.program, task
                USING ERRCODE = 'TXS15', HINT = 'Submit it again, or fork its graph.';
        END IF;
        EXECUTE format('SELECT to_jsonb(%s(%s))', os.function_name(spec.program),
                       (SELECT string_agg(quote_literal(a), ', ' ORDER BY n) FROM unnest(spec.arguments) WITH ORDINALITY x (a, n)))
           INTO result;
        PERFORM os.finish_task(p, task, attempt_no, result => result);
        RETURN 'done';
    EXCEPTION WHEN OTHERS THEN
        -- Conflicts and a lack of memory are not the function's; a stale attempt leaves nothing.
        IF left(SQLSTATE, 2) IN ('40', '53', '57') OR SQLSTATE = 'TXS02' THEN
            RAISE;
        END IF;
        new_state := os.fail_task(p, task, attempt_no, format('%s: %s', SQLSTATE, SQLERRM), may_retry => SQLSTATE NOT IN ('TXS15', 'TXS07'));
    END;
    RETURN new_state;
END
$$;
