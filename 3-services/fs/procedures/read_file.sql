-- Reads bytes at any place of a file; fewer at its end.
CREATE OR REPLACE FUNCTION os.read_file(p int, file bigint, at bigint, how_many int) RETURNS bytea
LANGUAGE plpgsql AS $$
DECLARE
    f record;
    wanted int;
    first_no bigint;
    last_no bigint;
    full_blocks bool;
    whole bytea;
    zeros bytea;
BEGIN
    SELECT x.f_size, x.block_size INTO f FROM os.file x WHERE x.p_key = p AND x.file_id = file AND x.kind = 'file';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no file %', file USING ERRCODE = 'TXF02';
    END IF;
    IF at < 0 OR how_many < 0 THEN
        RAISE EXCEPTION 'file % cannot be read at %', file, at USING ERRCODE = 'TXF22';
    END IF;
    IF how_many > os.setting('fs.put_bytes_max', 67108864) THEN
        RAISE EXCEPTION '% bytes are more than one call may read', how_many
            USING ERRCODE = 'TXF27', HINT = 'Read in pieces, or raise the setting fs.put_bytes_max.';
    END IF;
    wanted := least(how_many, f.f_size - at);
    IF wanted <= 0 THEN
        RETURN '';
    END IF;
    first_no := at / f.block_size;
    last_no := (at + wanted - 1) / f.block_size;
    SELECT string_agg(b.bytes, '' ORDER BY b.block_no),
           count(*) = last_no - first_no + 1 AND bool_and(length(b.bytes) = f.block_size OR b.block_no = last_no)
      INTO whole, full_blocks
      FROM os.file_block b
     WHERE b.p_key = p AND b.file_id = file AND b.block_no = ANY (ARRAY(SELECT generate_series(first_no, last_no)));
    IF full_blocks IS DISTINCT FROM true THEN
        -- Holes and short blocks read as zeros.
        zeros := decode(repeat('00', f.block_size), 'hex');
        SELECT string_agg(coalesce(b.bytes, '') || substring(zeros FROM coalesce(length(b.bytes), 0) + 1), '' ORDER BY n)
          INTO whole
          FROM generate_series(first_no, last_no) n
          LEFT JOIN os.file_block b ON b.p_key = p AND b.file_id = file AND b.block_no = n;
    END IF;
    whole := substring(whole FROM (at % f.block_size)::int + 1 FOR wanted);
    IF length(whole) < wanted THEN
        -- The last block is short, and the file is longer than it.
        whole := whole || decode(repeat('00', wanted - length(whole)), 'hex');
    END IF;
    RETURN whole;
END
$$;
