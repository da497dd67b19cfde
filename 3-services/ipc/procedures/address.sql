-- The receiver that a name means: a number is itself (a task, a graph, a user's choice), any other name the low six bits of
-- its bucket below 48 bits of its hash, in a range that no counter reaches.
CREATE OR REPLACE FUNCTION os.address(receiver_name text) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT CASE WHEN receiver_name ~ '^[0-9]{1,18}$' THEN receiver_name::bigint
           ELSE (1::bigint << 62) | os.bucket(receiver_name)
              | (get_byte(sha256(convert_to(receiver_name, 'UTF8')), 1)::bigint << 6)
              | (get_byte(sha256(convert_to(receiver_name, 'UTF8')), 2)::bigint << 14)
              | (get_byte(sha256(convert_to(receiver_name, 'UTF8')), 3)::bigint << 22)
              | (get_byte(sha256(convert_to(receiver_name, 'UTF8')), 4)::bigint << 30)
              | (get_byte(sha256(convert_to(receiver_name, 'UTF8')), 5)::bigint << 38)
              | (get_byte(sha256(convert_to(receiver_name, 'UTF8')), 6)::bigint << 46)
           END
$$;
