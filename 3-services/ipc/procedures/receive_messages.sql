-- Takes the receiver's next messages in order, from one sender or from all. In a transaction of the receiver's own they are
-- consumed when it commits, together with what it did about them; rolled back, they wait again.
CREATE OR REPLACE FUNCTION os.receive_messages(p int, receiver bigint, how_many int DEFAULT 1, only_from bigint DEFAULT NULL)
RETURNS TABLE (message_id bigint, sender_id bigint, data bytea, sent_at timestamptz)
LANGUAGE plpgsql AS $$
DECLARE
    picked bigint[];
    bytes bigint;
BEGIN
    -- Receivers of one mailbox take turns; otherwise two would pick the same messages and the second get none.
    PERFORM 1 FROM os.mailbox m WHERE m.p_key = p AND m.receiver_id = receiver FOR UPDATE;
    IF NOT FOUND THEN
        -- Nothing to lock, and nothing was sent before this call.
        RETURN;
    END IF;
    picked := ARRAY(SELECT m.message_id FROM os.message m
                     WHERE m.p_key = p AND m.receiver_id = receiver AND (only_from IS NULL OR m.sender_id = only_from)
                     ORDER BY m.message_id LIMIT how_many);
    IF cardinality(picked) = 0 THEN
        RETURN;
    END IF;
    SELECT sum(length(m.data)) INTO bytes FROM os.message m
     WHERE m.p_key = p AND m.receiver_id = receiver AND m.message_id = ANY (picked);
    UPDATE os.mailbox m SET waiting = m.waiting - cardinality(picked), waiting_bytes = m.waiting_bytes - bytes
     WHERE m.p_key = p AND m.receiver_id = receiver;
    RETURN QUERY
    WITH taken AS (
        DELETE FROM os.message m WHERE m.p_key = p AND m.receiver_id = receiver AND m.message_id = ANY (picked)
        RETURNING m.*
    ), kept AS (
        INSERT INTO os.message_history
        SELECT t.p_key, t.sender_id, t.receiver_id, t.message_id, t.data, t.idempotency_key, t.sent_at, now() FROM taken t
    )
    SELECT t.message_id, t.sender_id, t.data, t.sent_at FROM taken t ORDER BY t.message_id;
END
$$;
