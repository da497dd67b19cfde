-- The entries of a directory by name. Of a mount point only the name and the identifier are known here.
CREATE OR REPLACE FUNCTION os.list_directory(p int, path text)
RETURNS TABLE (d_name text, file_id bigint, kind text, f_size bigint, version bigint, mode int, f_owner text,
               modified_at timestamptz, writer_task_id bigint, writer text)
LANGUAGE plpgsql AS $$
DECLARE
    place record;
BEGIN
    SELECT * INTO place FROM os.resolve_path(p, path);
    IF place.file IS NULL THEN
        RAISE EXCEPTION 'there is no directory "%"', path USING ERRCODE = 'TXF02';
    END IF;
    IF place.file_kind <> 'directory' THEN
        RAISE EXCEPTION '"%" is not a directory', path USING ERRCODE = 'TXF20';
    END IF;
    RETURN QUERY
    SELECT e.d_name, e.file_id, e.kind, coalesce(f.f_size, 0), coalesce(f.version, 0), coalesce(f.mode, 0),
           coalesce(f.f_owner, ''), f.modified_at, f.writer_task_id, coalesce(f.writer, '')
      FROM os.directory e LEFT JOIN os.file f ON f.p_key = e.p_key AND f.file_id = e.file_id
     WHERE e.p_key = p AND e.directory_id = place.file
     ORDER BY e.d_name;
END
$$;
