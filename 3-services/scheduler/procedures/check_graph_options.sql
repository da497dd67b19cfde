-- Refuses options that no graph can have. Internal.
CREATE OR REPLACE FUNCTION os.check_graph_options(options jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    wrong text;
BEGIN
    SELECT o.key INTO wrong FROM jsonb_each(options) o
     WHERE NOT coalesce(jsonb_typeof(o.value) = CASE o.key WHEN 'key' THEN 'string' WHEN 'paused' THEN 'boolean' END, false)
     ORDER BY o.key LIMIT 1;
    IF wrong IS NOT NULL OR length(options ->> 'key') NOT BETWEEN 1 AND 200 THEN
        RAISE EXCEPTION 'invalid graph: option "%" is unknown or not of the right kind', coalesce(wrong, 'key')
            USING ERRCODE = 'TXS07', HINT = 'There are key, a text of 1 to 200 characters, and paused, true or false.';
    END IF;
END
$$;
