-- Renames a file or a directory with all below it, over what has the new name: one row changes, at once for everybody.
CREATE OR REPLACE FUNCTION os.rename_file(p int, old_path text, new_path text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    old record;
    new record;
    above bigint;
    inside int;
BEGIN
    PERFORM pg_advisory_xact_lock(7302, p);
    SELECT * INTO old FROM os.resolve_path(p, old_path);
    IF old.file IS NULL THEN
        RAISE EXCEPTION 'there is no file "%"', old_path USING ERRCODE = 'TXF02';
    END IF;
    SELECT * INTO new FROM os.resolve_path(p, new_path);
    IF old.directory IS NULL OR new.directory IS NULL THEN
        RAISE EXCEPTION 'the root, and what ends in .., cannot be renamed' USING ERRCODE = 'TXF22';
    END IF;
    IF new.file = old.file THEN
        RETURN;
    END IF;
    PERFORM os.check_home(p, old.directory, old.last_name);
    IF old.file_kind = 'directory' THEN
        -- A directory cannot go below itself.
        above := new.directory;
        WHILE above IS NOT NULL LOOP
            IF above = old.file THEN
                RAISE EXCEPTION '"%" is below "%"', new_path, old_path USING ERRCODE = 'TXF22';
            END IF;
            SELECT f.parent_id INTO above FROM os.file f WHERE f.p_key = p AND f.file_id = above;
        END LOOP;
    ELSIF right(new_path, 1) = '/' THEN
        RAISE EXCEPTION '"%" is not a directory', old_path USING ERRCODE = 'TXF20';
    END IF;
    IF new.file IS NOT NULL THEN
        IF new.file_kind = 'directory' AND old.file_kind <> 'directory' THEN
            RAISE EXCEPTION '"%" is a directory', new_path USING ERRCODE = 'TXF21';
        END IF;
        IF new.file_kind <> 'directory' AND old.file_kind = 'directory' THEN
            RAISE EXCEPTION '"%" is not a directory', new_path USING ERRCODE = 'TXF20';
        END IF;
        PERFORM os.check_home(p, new.directory, new.last_name);
        SELECT f.entries INTO inside FROM os.file f WHERE f.p_key = p AND f.file_id = new.file;
        IF inside > 0 THEN
            RAISE EXCEPTION 'the directory "%" is not empty', new_path USING ERRCODE = 'TXF39';
        END IF;
        PERFORM os.drop_entry(p, new.directory, new.last_name);
    END IF;
    UPDATE os.directory e SET directory_id = new.directory, d_name = new.last_name
     WHERE e.p_key = p AND e.directory_id = old.directory AND e.d_name = old.last_name;
    UPDATE os.file f SET entries = f.entries - 1, modified_at = now(), changed_at = now()
     WHERE f.p_key = p AND f.file_id = old.directory;
    UPDATE os.file f SET entries = f.entries + 1, modified_at = now(), changed_at = now()
     WHERE f.p_key = p AND f.file_id = new.directory;
    UPDATE os.file f
       SET changed_at = now(), parent_id = CASE f.kind WHEN 'directory' THEN new.directory END
     WHERE f.p_key = p AND f.file_id = old.file;
END
$$;
