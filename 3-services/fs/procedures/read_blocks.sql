-- Reads blocks of a file in one call, in the order of their numbers. Blocks that were never written are not among them.
CREATE OR REPLACE FUNCTION os.read_blocks(p int, file bigint, numbers bigint[])
RETURNS TABLE (block_no bigint, bytes bytea) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM os.file f WHERE f.p_key = p AND f.file_id = file AND f.kind = 'file';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no file %', file USING ERRCODE = 'TXF02';
    END IF;
    RETURN QUERY
    SELECT b.block_no, b.bytes FROM os.file_block b
     WHERE b.p_key = p AND b.file_id = file AND b.block_no = ANY (numbers)
     ORDER BY b.block_no;
END
$$;
