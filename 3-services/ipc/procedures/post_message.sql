-- Appends a message whatever waits already; its number. For the system's own messages: a full mailbox must not stop a task
-- from ending. Internal.
CREATE OR REPLACE FUNCTION os.post_message(p int, sender bigint, receiver bigint, body bytea, unique_key text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    number bigint;
BEGIN
    INSERT INTO os.mailbox AS m (p_key, receiver_id, waiting, waiting_bytes, last_message_id)
    VALUES (p, receiver, 1, length(body), 1)
        ON CONFLICT (p_key, receiver_id) DO UPDATE
       SET waiting = m.waiting + 1, waiting_bytes = m.waiting_bytes + EXCLUDED.waiting_bytes,
           last_message_id = m.last_message_id + 1
    RETURNING m.last_message_id INTO number;
    INSERT INTO os.message (p_key, sender_id, receiver_id, message_id, data, idempotency_key)
    VALUES (p, sender, receiver, number, body, unique_key);
    PERFORM pg_notify('os_mailbox_' || receiver, number::text);
    RETURN number;
END
$$;
