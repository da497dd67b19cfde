-- A function's name, safe in a statement. Internal.
CREATE OR REPLACE FUNCTION os.function_name(written text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN strpos(written, '.') > 0 THEN format('%I.%I', split_part(written, '.', 1), split_part(written, '.', 2))
                ELSE format('%I', written) END
$$;
