-- Sends; the message's number at its receiver. Sent again under the same key, it is the message sent before.
-- A full mailbox refuses at once: no sender waits for a receiver.
CREATE OR REPLACE FUNCTION os.send_message(p int, sender bigint, receiver bigint, body bytea, unique_key text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    box record;
    most bigint;
    number bigint;
BEGIN
    IF os.bucket(receiver) <> p THEN
        RAISE EXCEPTION 'receiver % is not in bucket %', receiver, p
            USING ERRCODE = 'TXM03', HINT = format('Its bucket is %s, its low six bits.', os.bucket(receiver));
    END IF;
    most := os.setting('ipc.message_bytes_max', 1048576);
    IF body IS NULL OR length(body) > most THEN
        RAISE EXCEPTION 'a message must have 0 to % bytes', most
            USING ERRCODE = 'TXM02', HINT = 'Put large data into a file and send its path.';
    END IF;
    IF unique_key IS NOT NULL THEN
        -- Two first sends under one key meet at the mailbox's row.
        INSERT INTO os.mailbox (p_key, receiver_id) VALUES (p, receiver) ON CONFLICT DO NOTHING;
    END IF;
    SELECT m.waiting, m.waiting_bytes, m.messages_max INTO box FROM os.mailbox m
     WHERE m.p_key = p AND m.receiver_id = receiver FOR UPDATE;
    IF FOUND THEN
        IF unique_key IS NOT NULL THEN
            SELECT m.message_id INTO number FROM os.message m
             WHERE m.p_key = p AND m.receiver_id = receiver AND m.sender_id = sender AND m.idempotency_key = unique_key;
            IF NOT FOUND THEN
                SELECT m.message_id INTO number FROM os.message_history m
                 WHERE m.p_key = p AND m.receiver_id = receiver AND m.sender_id = sender AND m.idempotency_key = unique_key;
            END IF;
            IF number IS NOT NULL THEN
                RETURN number;
            END IF;
        END IF;
        IF box.waiting >= coalesce(box.messages_max, os.setting('ipc.messages_max', 100000))
           OR box.waiting_bytes + length(body) > os.setting('ipc.mailbox_bytes_max', 268435456) THEN
            RAISE EXCEPTION 'the mailbox of receiver % is full', receiver
                USING ERRCODE = 'TXM01', DETAIL = format('%s messages of %s bytes wait.', box.waiting, box.waiting_bytes),
                      HINT = 'Send again when it has received some, or raise ipc.messages_max or ipc.mailbox_bytes_max.';
        END IF;
    END IF;
    RETURN os.post_message(p, sender, receiver, body, unique_key);
END
$$;
