-- Adds a user with a home directory; the home bucket. A user who is there already stays as he is.
-- It writes a reference table and two buckets, so it is no single-bucket procedure.
CREATE OR REPLACE FUNCTION os.add_user(name text, bucket int DEFAULT NULL) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    home int := coalesce(bucket, os.bucket(name));
    home_directory bigint;
    all_homes bigint;
BEGIN
    IF name IS NULL OR name !~ '^[a-z_][a-z0-9_.-]{0,62}$' OR home NOT BETWEEN 0 AND 63 THEN
        RAISE EXCEPTION 'invalid user "%" or bucket %', name, home
            USING ERRCODE = 'TXO02', HINT = 'A name has a to z, 0 to 9, "_", "." and "-", and begins with a letter; buckets are 0 to 63.';
    END IF;
    INSERT INTO os.user (user_name, home_bucket, current_path) VALUES (name, home, '/home/' || name) ON CONFLICT DO NOTHING;
    SELECT u.home_bucket INTO home FROM os.user u WHERE u.user_name = name;
    home_directory := os.make_directory(home, '/home/' || name, name, 448, true);
    IF home <> 0 THEN
        -- So that bucket 0, where / and /home are read, shows it too.
        all_homes := os.make_directory(0, '/home', 'root', 493, true);
        -- Of a home that an earlier version let go.
        UPDATE os.directory e SET file_id = home_directory
         WHERE e.p_key = 0 AND e.directory_id = all_homes AND e.d_name = name AND e.file_id <> home_directory;
        INSERT INTO os.directory (p_key, directory_id, d_name, file_id, kind)
        VALUES (0, all_homes, name, home_directory, 'directory') ON CONFLICT DO NOTHING;
        IF FOUND THEN
            UPDATE os.file f SET entries = f.entries + 1 WHERE f.p_key = 0 AND f.file_id = all_homes;
        END IF;
    END IF;
    RETURN home;
END
$$;
