-- Writes bytes as the blocks from a number up. Internal.
CREATE OR REPLACE FUNCTION os.split_blocks(p int, file bigint, first_no bigint, data bytea, block_bytes int) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO os.file_block (p_key, file_id, block_no, bytes)
    SELECT p, file, first_no + n, substring(data FROM n * block_bytes + 1 FOR block_bytes)
      FROM generate_series(0, (length(data) - 1) / block_bytes) n
     WHERE length(data) > 0
        ON CONFLICT (p_key, file_id, block_no) DO UPDATE SET bytes = EXCLUDED.bytes;
END
$$;
