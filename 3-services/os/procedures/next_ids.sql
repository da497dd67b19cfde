-- The first of `how_many` new identifiers of a kind; the others follow in steps of 64.
-- The counter's row is locked to the end of the transaction, so identifiers are in the order of commits.
CREATE OR REPLACE FUNCTION os.next_ids(p int, what text, how_many int) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    reached bigint;
BEGIN
    UPDATE os.counter SET last = last + how_many WHERE p_key = p AND kind = what RETURNING last INTO reached;
    IF NOT FOUND THEN
        IF p NOT BETWEEN 0 AND 63 THEN
            RAISE EXCEPTION 'there is no bucket %', p USING ERRCODE = 'TXO01', HINT = 'Buckets are 0 to 63.';
        END IF;
        INSERT INTO os.counter AS c (p_key, kind, last) VALUES (p, what, how_many)
        ON CONFLICT (p_key, kind) DO UPDATE SET last = c.last + EXCLUDED.last
        RETURNING c.last INTO reached;
    END IF;
    RETURN (reached - how_many + 1) * 64 + p;
END
$$;
