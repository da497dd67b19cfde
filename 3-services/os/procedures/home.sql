-- The home bucket of a user; of a name without a row, the bucket of the name.
CREATE OR REPLACE FUNCTION os.home(owner text) RETURNS int
LANGUAGE sql STABLE STRICT AS $$
    SELECT coalesce((SELECT u.home_bucket FROM os.user u WHERE u.user_name = owner), os.bucket(owner))
$$;
