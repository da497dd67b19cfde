-- Refuses named resources that no worker can offer. Internal.
CREATE OR REPLACE FUNCTION os.check_offers(offers jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    wrong text;
BEGIN
    IF jsonb_typeof(offers) <> 'object' THEN
        RAISE EXCEPTION 'what a worker offers must be an object' USING ERRCODE = 'TXS09', HINT = 'Write {"gpu": 2}.';
    END IF;
    SELECT o.key INTO wrong FROM jsonb_each(offers) o
     WHERE o.key = '' OR jsonb_typeof(o.value) <> 'number' OR o.value #>> '{}' !~ '^[1-9][0-9]{0,17}$'
     ORDER BY o.key LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'a worker offers of "%" no whole number of 1 or more', wrong USING ERRCODE = 'TXS09';
    END IF;
END
$$;
