-- Reads one block of each of many files in one call, in the order asked for; null for a block that was never written.
CREATE OR REPLACE FUNCTION os.read_many_blocks(p int, files bigint[], numbers bigint[])
RETURNS TABLE (file_id bigint, block_no bigint, bytes bytea) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
    SELECT files[i], numbers[i], b.bytes
      FROM generate_subscripts(files, 1) i
      LEFT JOIN os.file_block b ON b.p_key = p AND b.file_id = files[i] AND b.block_no = numbers[i]
     ORDER BY i;
END
$$;
