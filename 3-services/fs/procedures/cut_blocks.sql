-- Takes away what a file has beyond a new size, block and part of a block. Internal.
CREATE OR REPLACE FUNCTION os.cut_blocks(p int, file bigint, new_size bigint, size bigint, block_bytes int) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    from_no bigint := (new_size + block_bytes - 1) / block_bytes;
    last_no bigint := (size - 1) / block_bytes;
    kept int := new_size % block_bytes;
BEGIN
    IF new_size >= size THEN
        RETURN;
    END IF;
    -- By number where they are countable: each is found by its key. A huge sparse file is searched instead.
    IF last_no - from_no < 1000000 THEN
        DELETE FROM os.file_block b
         WHERE b.p_key = p AND b.file_id = file AND b.block_no = ANY (ARRAY(SELECT generate_series(from_no, last_no)));
    ELSE
        DELETE FROM os.file_block b WHERE b.p_key = p AND b.file_id = file AND b.block_no >= from_no;
    END IF;
    IF kept > 0 THEN
        -- What is cut off must not come back when the file grows.
        UPDATE os.file_block b SET bytes = substring(b.bytes FROM 1 FOR kept)
         WHERE b.p_key = p AND b.file_id = file AND b.block_no = new_size / block_bytes AND length(b.bytes) > kept;
    END IF;
END
$$;
