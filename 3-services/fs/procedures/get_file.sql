-- Reads a whole file.
CREATE OR REPLACE FUNCTION os.get_file(p int, path text, OUT file bigint, OUT at_version bigint, OUT data bytea)
LANGUAGE plpgsql AS $$
DECLARE
    f record;
BEGIN
    file := os.find_file(p, path);
    -- The lock keeps a writer of this file out until its blocks are read.
    SELECT x.kind, x.f_size, x.version INTO f FROM os.file x WHERE x.p_key = p AND x.file_id = file FOR SHARE;
    IF f.kind <> 'file' THEN
        RAISE EXCEPTION '"%" is a directory', path USING ERRCODE = 'TXF21';
    END IF;
    IF f.f_size > os.setting('fs.put_bytes_max', 67108864) THEN
        RAISE EXCEPTION '"%" has % bytes, more than one call may read', path, f.f_size
            USING ERRCODE = 'TXF27', HINT = 'Read it in pieces, or raise the setting fs.put_bytes_max.';
    END IF;
    at_version := f.version;
    data := os.read_file(p, file, 0, f.f_size::int);
END
$$;
