-- What a key of a bucket was used for, null: nothing yet. Refuses one that was used with other arguments. Internal.
CREATE OR REPLACE FUNCTION os.find_key(p int, used_key text, fingerprint text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    found_id bigint;
    found_arguments text;
BEGIN
    SELECT k.id, k.arguments INTO found_id, found_arguments FROM os.submitted_key k WHERE k.p_key = p AND k.key = used_key;
    IF found_arguments <> fingerprint THEN
        RAISE EXCEPTION 'key "%" was used with other arguments', used_key
            USING ERRCODE = 'TXS13', DETAIL = format('It stands for %s.', found_id), HINT = 'Take another key, or repeat the call as it was.';
    END IF;
    RETURN found_id;
END
$$;
