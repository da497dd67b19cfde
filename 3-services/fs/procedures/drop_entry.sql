-- Takes a name away, and the file with its last name. Internal.
CREATE OR REPLACE FUNCTION os.drop_entry(p int, directory bigint, name text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    file bigint;
    f record;
BEGIN
    DELETE FROM os.directory e WHERE e.p_key = p AND e.directory_id = directory AND e.d_name = name RETURNING e.file_id INTO file;
    UPDATE os.file x SET entries = x.entries - 1, modified_at = now(), changed_at = now()
     WHERE x.p_key = p AND x.file_id = directory;
    UPDATE os.file x SET links = x.links - 1, changed_at = now() WHERE x.p_key = p AND x.file_id = file
    RETURNING x.links, x.f_size, x.block_size INTO f;
    IF f.links = 0 THEN
        PERFORM os.cut_blocks(p, file, 0, f.f_size, f.block_size);
        DELETE FROM os.file x WHERE x.p_key = p AND x.file_id = file;
    END IF;
END
$$;
