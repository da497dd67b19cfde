-- Writes bytes at any place of a file (null: at its end); its new version.
CREATE OR REPLACE FUNCTION os.write_file(p int, file bigint, at bigint, data bytea, by_user text, by_task bigint DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    f record;
    start bigint;
    stop bigint;
    first_no bigint;
    tail bytea;
    whole bytea := data;
BEGIN
    SELECT * INTO f FROM os.touch_file(p, file, by_user, by_task);
    start := coalesce(at, f.size);
    IF start < 0 OR start > 1::bigint << 50 OR data IS NULL THEN
        RAISE EXCEPTION 'file % cannot be written at %', file, at USING ERRCODE = 'TXF22';
    END IF;
    IF length(data) = 0 THEN
        RETURN f.new_version;
    END IF;
    IF length(data) > os.setting('fs.put_bytes_max', 67108864) THEN
        RAISE EXCEPTION '% bytes are more than one call may write', length(data)
            USING ERRCODE = 'TXF27', HINT = 'Write in pieces, or raise the setting fs.put_bytes_max.';
    END IF;
    stop := start + length(data);
    first_no := start / f.block_bytes;
    -- What the first and the last block hold already stays around the new bytes.
    IF start % f.block_bytes > 0 THEN
        whole := os.block_prefix(p, file, first_no, (start % f.block_bytes)::int) || whole;
    END IF;
    IF stop % f.block_bytes > 0 AND stop < f.size THEN
        SELECT substring(b.bytes FROM (stop % f.block_bytes)::int + 1) INTO tail FROM os.file_block b
         WHERE b.p_key = p AND b.file_id = file AND b.block_no = stop / f.block_bytes;
        whole := whole || coalesce(tail, '');
    END IF;
    PERFORM os.split_blocks(p, file, first_no, whole, f.block_bytes);
    UPDATE os.file x SET f_size = greatest(f.size, stop) WHERE x.p_key = p AND x.file_id = file;
    RETURN f.new_version;
END
$$;
