-- Refuses to take away or rename /home, or a user's home directory there: bucket 0 has an entry for each, and tasks keep their
-- logs in it. Internal.
CREATE OR REPLACE FUNCTION os.check_home(p int, directory bigint, name text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF directory = p AND name = 'home' THEN
        RAISE EXCEPTION 'the directory of all home directories cannot be removed or renamed' USING ERRCODE = 'TXF22';
    END IF;
    PERFORM 1 FROM os.directory e WHERE e.p_key = p AND e.directory_id = p AND e.d_name = 'home' AND e.file_id = directory;
    IF FOUND THEN
        PERFORM 1 FROM os.user u WHERE u.user_name = name;
        IF FOUND THEN
            RAISE EXCEPTION 'a user''s home directory cannot be removed or renamed'
                USING ERRCODE = 'TXF22', HINT = 'What is in it can.';
        END IF;
    END IF;
END
$$;
