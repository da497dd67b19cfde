-- Makes an empty file; its identifier. A file that is there already is refused when exclusive, and returned as it is otherwise.
CREATE OR REPLACE FUNCTION os.create_file(p int, path text, by_user text, bits int DEFAULT 420, exclusive bool DEFAULT true,
                                          block_bytes int DEFAULT NULL, by_task bigint DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    place record;
    bytes int := coalesce(block_bytes, os.setting('fs.block_bytes', 8192)::int);
BEGIN
    -- Names of a bucket change one transaction after the other; reads do not wait.
    PERFORM pg_advisory_xact_lock(7302, p);
    IF bytes NOT BETWEEN 512 AND 1048576 THEN
        RAISE EXCEPTION 'blocks must have 512 to 1048576 bytes, not %', bytes USING ERRCODE = 'TXF22';
    END IF;
    SELECT * INTO place FROM os.resolve_path(p, path);
    IF place.file IS NOT NULL THEN
        IF exclusive THEN
            RAISE EXCEPTION 'there is a file "%" already', path USING ERRCODE = 'TXF17';
        END IF;
        IF place.file_kind = 'directory' THEN
            RAISE EXCEPTION '"%" is a directory', path USING ERRCODE = 'TXF21';
        END IF;
        RETURN place.file;
    END IF;
    IF right(path, 1) = '/' THEN
        RAISE EXCEPTION 'a file cannot have the name "%"', path USING ERRCODE = 'TXF21';
    END IF;
    RETURN os.add_entry(p, place.directory, place.last_name, 'file', by_user, bits, bytes, by_task);
END
$$;
