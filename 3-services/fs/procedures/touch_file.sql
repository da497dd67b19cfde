-- Locks a file for a writer, counts its version and notes who wrote it; what the write needs to know of it. Internal.
CREATE OR REPLACE FUNCTION os.touch_file(p int, file bigint, by_user text, by_task bigint, OUT size bigint, OUT block_bytes int,
                                         OUT new_version bigint)
LANGUAGE plpgsql AS $$
DECLARE
    what text;
BEGIN
    UPDATE os.file f
       SET version = f.version + 1, modified_at = now(), changed_at = now(), writer_task_id = by_task, writer = by_user
     WHERE f.p_key = p AND f.file_id = file
    RETURNING f.f_size, f.block_size, f.version, f.kind INTO size, block_bytes, new_version, what;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no file %', file USING ERRCODE = 'TXF02';
    END IF;
    IF what <> 'file' THEN
        RAISE EXCEPTION 'file % is a directory', file USING ERRCODE = 'TXF21';
    END IF;
END
$$;
