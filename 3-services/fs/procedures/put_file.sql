-- Writes a whole file, made when it is missing, in one transaction: readers see the old bytes or the new.
CREATE OR REPLACE FUNCTION os.put_file(p int, path text, data bytea, by_user text, by_task bigint DEFAULT NULL,
                                       OUT file bigint, OUT new_version bigint)
LANGUAGE plpgsql AS $$
DECLARE
    f record;
BEGIN
    IF data IS NULL OR length(data) > os.setting('fs.put_bytes_max', 67108864) THEN
        RAISE EXCEPTION '% bytes are more than one call may write', length(data)
            USING ERRCODE = 'TXF27', HINT = 'Create the file and write it in pieces, or raise the setting fs.put_bytes_max.';
    END IF;
    SELECT r.file INTO file FROM os.resolve_path(p, path) r WHERE r.file_kind = 'file';
    IF NOT FOUND THEN
        file := os.create_file(p, path, by_user, exclusive => false, by_task => by_task);
    END IF;
    SELECT * INTO f FROM os.touch_file(p, file, by_user, by_task);
    PERFORM os.cut_blocks(p, file, 0, f.size, f.block_bytes);
    PERFORM os.split_blocks(p, file, 0, data, f.block_bytes);
    UPDATE os.file x SET f_size = length(data) WHERE x.p_key = p AND x.file_id = file;
    new_version := f.new_version;
END
$$;
