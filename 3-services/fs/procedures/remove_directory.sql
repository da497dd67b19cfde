-- Removes an empty directory.
CREATE OR REPLACE FUNCTION os.remove_directory(p int, path text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    place record;
    inside int;
BEGIN
    PERFORM pg_advisory_xact_lock(7302, p);
    SELECT * INTO place FROM os.resolve_path(p, path);
    IF place.file IS NULL THEN
        RAISE EXCEPTION 'there is no directory "%"', path USING ERRCODE = 'TXF02';
    END IF;
    IF place.file_kind <> 'directory' THEN
        RAISE EXCEPTION '"%" is not a directory', path USING ERRCODE = 'TXF20';
    END IF;
    IF place.directory IS NULL THEN
        RAISE EXCEPTION 'the root, and what ends in .., cannot be removed' USING ERRCODE = 'TXF22';
    END IF;
    PERFORM os.check_home(p, place.directory, place.last_name);
    SELECT f.entries INTO inside FROM os.file f WHERE f.p_key = p AND f.file_id = place.file;
    IF inside > 0 THEN
        RAISE EXCEPTION 'the directory "%" is not empty', path USING ERRCODE = 'TXF39';
    END IF;
    PERFORM os.drop_entry(p, place.directory, place.last_name);
END
$$;
