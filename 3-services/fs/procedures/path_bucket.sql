-- The bucket in which a path's file stands: /home/NAME and below in NAME's home, everything else in bucket 0.
CREATE OR REPLACE FUNCTION os.path_bucket(path text) RETURNS int
LANGUAGE sql STABLE STRICT AS $$
    SELECT CASE WHEN path ~ '^/+home/+[^/]' THEN os.home((regexp_split_to_array(path, '/+'))[3]) ELSE 0 END
$$;
