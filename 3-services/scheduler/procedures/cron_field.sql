-- The numbers that a field of a schedule means: *, 5, 1-5, */15, 1-30/2, names, and lists of these. Internal.
CREATE OR REPLACE FUNCTION os.cron_field(field text, low int, high int, names text[] DEFAULT '{}') RETURNS int[]
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    item text;
    parts text[];
    numbers int[] := '{}';
    n int;
BEGIN
    field := lower(field);
    FOR n IN 1..cardinality(names) LOOP
        field := replace(field, names[n], (low + n - 1)::text);
    END LOOP;
    IF field IS NULL THEN
        RETURN NULL;
    END IF;
    FOREACH item IN ARRAY string_to_array(field, ',') LOOP
        parts := regexp_match(item, '^(?:[*]|([0-9]{1,4})(?:-([0-9]{1,4}))?)(?:/([0-9]{1,4}))?$');
        IF parts IS NULL OR parts[3]::int = 0 OR parts[1]::int NOT BETWEEN low AND high OR parts[2]::int NOT BETWEEN parts[1]::int AND high THEN
            RETURN NULL;
        END IF;
        -- 5/10: from 5 on.
        numbers := numbers || ARRAY(SELECT generate_series(coalesce(parts[1]::int, low),
                                                          coalesce(parts[2]::int, CASE WHEN parts[3] IS NULL THEN parts[1]::int END, high),
                                                          coalesce(parts[3]::int, 1)));
    END LOOP;
    RETURN numbers;
END
$$;
