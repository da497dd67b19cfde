-- Removes a file's name; the file goes with its last name.
CREATE OR REPLACE FUNCTION os.remove_file(p int, path text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    place record;
BEGIN
    PERFORM pg_advisory_xact_lock(7302, p);
    SELECT * INTO place FROM os.resolve_path(p, path);
    IF place.file IS NULL THEN
        RAISE EXCEPTION 'there is no file "%"', path USING ERRCODE = 'TXF02';
    END IF;
    IF place.file_kind = 'directory' THEN
        RAISE EXCEPTION '"%" is a directory', path USING ERRCODE = 'TXF21';
    END IF;
    PERFORM os.drop_entry(p, place.directory, place.last_name);
END
$$;
