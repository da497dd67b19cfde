-- Gives a file another size: cuts it, or lets it end with a hole; its new version.
CREATE OR REPLACE FUNCTION os.truncate_file(p int, file bigint, new_size bigint, by_user text, by_task bigint DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    f record;
BEGIN
    SELECT * INTO f FROM os.touch_file(p, file, by_user, by_task);
    IF new_size IS NULL OR new_size < 0 OR new_size > 1::bigint << 50 THEN
        RAISE EXCEPTION 'a file cannot have % bytes', new_size USING ERRCODE = 'TXF22';
    END IF;
    PERFORM os.cut_blocks(p, file, new_size, f.size, f.block_bytes);
    UPDATE os.file x SET f_size = new_size WHERE x.p_key = p AND x.file_id = file;
    RETURN f.new_version;
END
$$;
