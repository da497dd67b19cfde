-- What is known of a file.
CREATE OR REPLACE FUNCTION os.stat_file(p int, path text)
RETURNS TABLE (file_id bigint, kind text, f_size bigint, block_size int, version bigint, mode int, f_owner text, links int,
               created_at timestamptz, modified_at timestamptz, changed_at timestamptz, writer_task_id bigint, writer text)
LANGUAGE plpgsql AS $$
DECLARE
    file bigint := os.find_file(p, path);
BEGIN
    RETURN QUERY
    SELECT f.file_id, f.kind, f.f_size, f.block_size, f.version, f.mode, f.f_owner, f.links, f.created_at, f.modified_at,
           f.changed_at, f.writer_task_id, f.writer
      FROM os.file f WHERE f.p_key = p AND f.file_id = file;
END
$$;
