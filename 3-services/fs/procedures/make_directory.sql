-- Makes a directory; its identifier. With parents: those that are missing too, and one that is there already is no error.
CREATE OR REPLACE FUNCTION os.make_directory(p int, path text, by_user text, bits int DEFAULT 493, parents bool DEFAULT false,
                                             by_task bigint DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    place record;
    so_far text := '';
    one text;
BEGIN
    PERFORM pg_advisory_xact_lock(7302, p);
    IF parents AND left(path, 1) = '/' AND octet_length(path) <= 4096 THEN
        FOREACH one IN ARRAY string_to_array(path, '/') LOOP
            CONTINUE WHEN one = '';
            so_far := so_far || '/' || one;
            SELECT * INTO place FROM os.resolve_path(p, so_far);
            IF place.file IS NULL THEN
                PERFORM os.add_entry(p, place.directory, place.last_name, 'directory', by_user, bits, 8192, by_task);
            END IF;
        END LOOP;
    END IF;
    SELECT * INTO place FROM os.resolve_path(p, path);
    IF place.file IS NULL THEN
        RETURN os.add_entry(p, place.directory, place.last_name, 'directory', by_user, bits, 8192, by_task);
    END IF;
    IF parents AND place.file_kind = 'directory' THEN
        RETURN place.file;
    END IF;
    RAISE EXCEPTION 'there is a file "%" already', path USING ERRCODE = 'TXF17';
END
$$;
