-- Walks a path: the directory of its last name, that name, and the file that it means (null: there is none). Internal.
CREATE OR REPLACE FUNCTION os.resolve_path(p int, path text, OUT directory bigint, OUT last_name text, OUT file bigint, OUT file_kind text)
LANGUAGE plpgsql AS $$
DECLARE
    names text[];
    -- The directories from the root to here, for "..".
    way bigint[] := ARRAY[p::bigint];
    one text;
BEGIN
    IF path IS NULL OR left(path, 1) <> '/' THEN
        RAISE EXCEPTION 'the path "%" does not begin with /', path USING ERRCODE = 'TXF22';
    END IF;
    IF octet_length(path) > 4096 THEN
        RAISE EXCEPTION 'the path has more than 4096 bytes' USING ERRCODE = 'TXF36';
    END IF;
    names := string_to_array(path, '/');
    file := p;
    file_kind := 'directory';
    FOREACH one IN ARRAY names LOOP
        CONTINUE WHEN one = '' OR one = '.';
        IF octet_length(one) > 255 THEN
            RAISE EXCEPTION 'a name in the path "%" has more than 255 bytes', path USING ERRCODE = 'TXF36';
        END IF;
        IF file IS NULL THEN
            RAISE EXCEPTION 'there is no directory "%" in the path "%"', last_name, path USING ERRCODE = 'TXF02';
        END IF;
        IF file_kind <> 'directory' THEN
            RAISE EXCEPTION '"%" in the path "%" is not a directory', last_name, path USING ERRCODE = 'TXF20';
        END IF;
        last_name := one;
        IF one = '..' THEN
            IF cardinality(way) > 1 THEN
                way := way[1:cardinality(way) - 1];
            END IF;
            file := way[cardinality(way)];
            directory := NULL;
            CONTINUE;
        END IF;
        directory := file;
        SELECT e.file_id, e.kind INTO file, file_kind FROM os.directory e
         WHERE e.p_key = p AND e.directory_id = directory AND e.d_name = one;
        IF file & 63 <> p THEN
            RAISE EXCEPTION '"%" in the path "%" is in another bucket', one, path
                USING ERRCODE = 'TXF18', HINT = format('Call with bucket %s, which os.path_bucket gives.', file & 63);
        END IF;
        way := way || file;
    END LOOP;
END
$$;
