-- A setting's value, or the default where nobody set it.
CREATE OR REPLACE FUNCTION os.setting(setting_name text, otherwise bigint) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT s.value FROM os.setting s WHERE s.name = setting_name), otherwise)
$$;
