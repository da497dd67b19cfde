-- The bucket of a name: the low six bits of its SHA-256's first byte. The same on every engine, for ever: keys never change.
CREATE OR REPLACE FUNCTION os.bucket(owner text) RETURNS int
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT get_byte(sha256(convert_to(owner, 'UTF8')), 0) & 63
$$;

-- The bucket of an identifier: its low six bits.
CREATE OR REPLACE FUNCTION os.bucket(id bigint) RETURNS int
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT (id & 63)::int
$$;
