-- Everything below a directory with its full path: find, du and "which task wrote which file" are queries over it.
CREATE OR REPLACE FUNCTION os.list_tree(p int, path text DEFAULT '/')
RETURNS TABLE (f_name text, file_id bigint, kind text, f_size bigint, version bigint, f_owner text, modified_at timestamptz,
               writer_task_id bigint, writer text)
LANGUAGE plpgsql AS $$
DECLARE
    place record;
BEGIN
    SELECT * INTO place FROM os.resolve_path(p, path);
    IF place.file IS NULL THEN
        RAISE EXCEPTION 'there is no directory "%"', path USING ERRCODE = 'TXF02';
    END IF;
    RETURN QUERY
    WITH RECURSIVE tree (full_name, id) AS (
        SELECT rtrim(path, '/'), place.file
        UNION ALL
        SELECT tree.full_name || '/' || e.d_name, e.file_id
          FROM tree JOIN os.directory e ON e.p_key = p AND e.directory_id = tree.id
    )
    SELECT tree.full_name, f.file_id, f.kind, f.f_size, f.version, f.f_owner, f.modified_at, f.writer_task_id, f.writer
      FROM tree JOIN os.file f ON f.p_key = p AND f.file_id = tree.id
     WHERE tree.id <> place.file OR f.kind = 'file'
     ORDER BY 1;
END
$$;
