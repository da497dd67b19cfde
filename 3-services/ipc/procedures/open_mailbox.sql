-- Gives a receiver a name to be shown and a bound of its own (null: the setting ipc.messages_max).
CREATE OR REPLACE FUNCTION os.open_mailbox(p int, receiver bigint, receiver_name text DEFAULT NULL, most int DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF os.bucket(receiver) <> p THEN
        RAISE EXCEPTION 'receiver % is not in bucket %', receiver, p
            USING ERRCODE = 'TXM03', HINT = format('Its bucket is %s, its low six bits.', os.bucket(receiver));
    END IF;
    INSERT INTO os.mailbox (p_key, receiver_id, name, messages_max) VALUES (p, receiver, receiver_name, most)
        ON CONFLICT (p_key, receiver_id) DO UPDATE SET name = EXCLUDED.name, messages_max = EXCLUDED.messages_max;
END
$$;
