-- Removes a file, or a directory with all below it; how many names. Nothing there is no error.
CREATE OR REPLACE FUNCTION os.remove_tree(p int, path text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    place record;
    one record;
    removed bigint := 1;
BEGIN
    PERFORM pg_advisory_xact_lock(7302, p);
    BEGIN
        SELECT * INTO place FROM os.resolve_path(p, path);
    EXCEPTION WHEN SQLSTATE 'TXF02' OR SQLSTATE 'TXF20' THEN
        RETURN 0;
    END;
    IF place.file IS NULL THEN
        RETURN 0;
    END IF;
    IF place.file_kind <> 'directory' THEN
        PERFORM os.remove_file(p, path);
        RETURN 1;
    END IF;
    -- Paths below come after those above.
    FOR one IN SELECT t.f_name, t.kind FROM os.list_tree(p, path) t ORDER BY t.f_name DESC LOOP
        IF one.kind = 'directory' THEN
            PERFORM os.remove_directory(p, one.f_name);
        ELSE
            PERFORM os.remove_file(p, one.f_name);
        END IF;
        removed := removed + 1;
    END LOOP;
    PERFORM os.remove_directory(p, path);
    RETURN removed;
END
$$;
