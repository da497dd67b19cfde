-- The version of what a task of kind sql calls: of the text of all functions and procedures of that name. Null: there is none. Internal.
CREATE OR REPLACE FUNCTION os.code_version(written text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    schemas text[] := CASE WHEN strpos(written, '.') > 0 THEN ARRAY[split_part(written, '.', 1)] ELSE ARRAY['public', 'pg_catalog'] END;
    plain_name text := CASE WHEN strpos(written, '.') > 0 THEN split_part(written, '.', 2) ELSE written END;
    texts text;
BEGIN
    SELECT string_agg(f.prosrc, ';' ORDER BY f.prosrc) INTO texts FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
     WHERE n.nspname = ANY (schemas) AND f.proname = plain_name;
    RETURN 'md5:' || md5(texts);
END
$$;
