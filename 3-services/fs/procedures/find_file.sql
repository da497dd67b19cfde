-- The file that a path means; refuses a path without one. Internal.
CREATE OR REPLACE FUNCTION os.find_file(p int, path text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    found_at record;
BEGIN
    SELECT * INTO found_at FROM os.resolve_path(p, path);
    IF found_at.file IS NULL THEN
        RAISE EXCEPTION 'there is no file "%"', path USING ERRCODE = 'TXF02';
    END IF;
    RETURN found_at.file;
END
$$;
