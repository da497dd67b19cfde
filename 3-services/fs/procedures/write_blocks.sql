-- Writes whole blocks of a file in one call; its new version. new_size: its size then, else the end of the last block
-- written where that lies beyond.
CREATE OR REPLACE FUNCTION os.write_blocks(p int, file bigint, numbers bigint[], blocks bytea[], by_user text,
                                           by_task bigint DEFAULT NULL, new_size bigint DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    f record;
    reach bigint;
    longest int;
    lowest bigint;
BEGIN
    SELECT * INTO f FROM os.touch_file(p, file, by_user, by_task);
    SELECT max(x.n * f.block_bytes + length(x.b)), max(length(x.b)), min(x.n) INTO reach, longest, lowest
      FROM unnest(numbers, blocks) AS x (n, b);
    IF cardinality(numbers) IS DISTINCT FROM cardinality(blocks) OR lowest < 0 OR longest > f.block_bytes
       OR new_size < reach OR reach > 1::bigint << 50 THEN
        RAISE EXCEPTION 'each block needs a number from 0 and at most % bytes, within the new size', f.block_bytes
            USING ERRCODE = 'TXF22';
    END IF;
    INSERT INTO os.file_block (p_key, file_id, block_no, bytes)
    SELECT p, file, x.n, x.b FROM unnest(numbers, blocks) AS x (n, b)
        ON CONFLICT (p_key, file_id, block_no) DO UPDATE SET bytes = EXCLUDED.bytes;
    UPDATE os.file x SET f_size = coalesce(new_size, greatest(f.size, reach)) WHERE x.p_key = p AND x.file_id = file;
    PERFORM os.cut_blocks(p, file, coalesce(new_size, f.size), f.size, f.block_bytes);
    RETURN f.new_version;
END
$$;
