-- The first bytes of a block, zeros where nothing was written. Internal.
CREATE OR REPLACE FUNCTION os.block_prefix(p int, file bigint, number bigint, how_many int) RETURNS bytea
LANGUAGE plpgsql AS $$
DECLARE
    found_bytes bytea;
BEGIN
    SELECT substring(b.bytes FROM 1 FOR how_many) INTO found_bytes FROM os.file_block b
     WHERE b.p_key = p AND b.file_id = file AND b.block_no = number;
    found_bytes := coalesce(found_bytes, '');
    IF length(found_bytes) < how_many THEN
        RETURN found_bytes || decode(repeat('00', how_many - length(found_bytes)), 'hex');
    END IF;
    RETURN found_bytes;
END
$$;
