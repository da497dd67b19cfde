-- Makes a file or directory and its entry; its identifier. The caller knows that the name is free. Internal.
CREATE OR REPLACE FUNCTION os.add_entry(p int, directory bigint, name text, what text, by_user text, bits int, block_bytes int,
                                        by_task bigint)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    file bigint := os.next_ids(p, 'file', 1);
BEGIN
    INSERT INTO os.file (p_key, file_id, kind, block_size, mode, f_owner, parent_id, writer_task_id, writer)
    VALUES (p, file, what, block_bytes, bits, by_user, CASE what WHEN 'directory' THEN directory END, by_task, by_user);
    INSERT INTO os.directory VALUES (p, directory, name, file, what);
    UPDATE os.file f SET entries = f.entries + 1, modified_at = now(), changed_at = now()
     WHERE f.p_key = p AND f.file_id = directory;
    RETURN file;
END
$$;
