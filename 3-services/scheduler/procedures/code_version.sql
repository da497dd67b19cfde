-- The version of the function that a task of kind sql calls: of its text. Refuses a name that is no single function's. Internal.
CREATE OR REPLACE FUNCTION os.code_version(function_name text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    schema_name text := CASE WHEN strpos(function_name, '.') > 0 THEN split_part(function_name, '.', 1) ELSE 'public' END;
    plain_name text := CASE WHEN strpos(function_name, '.') > 0 THEN split_part(function_name, '.', 2) ELSE function_name END;
    versions text[];
BEGIN
    versions := ARRAY(SELECT md5(f.prosrc) FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
                       WHERE n.nspname = schema_name AND f.proname = plain_name AND f.prokind = 'f');
    IF cardinality(versions) = 1 THEN
        RETURN 'md5:' || versions[1];
    END IF;
    RAISE EXCEPTION 'there % function "%"', CASE cardinality(versions) WHEN 0 THEN 'is no' ELSE 'is more than one' END, function_name
        USING ERRCODE = 'TXS07', HINT = 'A task of kind sql names one function, with its schema unless that is public.';
END
$$;
