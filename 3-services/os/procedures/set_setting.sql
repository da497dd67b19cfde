-- Sets a limit or period; the meaning of one that is there already stays.
CREATE OR REPLACE FUNCTION os.set_setting(setting_name text, new_value bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO os.setting AS s (name, value, meaning)
    VALUES (setting_name, new_value, '')
    ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value;
END $$;
