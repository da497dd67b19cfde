-- Sets a limit or period; the meaning of one that is there already stays. A name that nothing reads is a slip of the pen: those
-- of policies and services of one's own are rows that one inserts.
CREATE OR REPLACE FUNCTION os.set_setting(setting_name text, new_value bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    known text[] := ARRAY['fs.block_bytes', 'fs.put_bytes_max', 'ipc.history_ms', 'ipc.mailbox_bytes_max', 'ipc.message_bytes_max',
                          'ipc.messages_max', 'scheduler.ageing_ms', 'scheduler.graph_tasks_max', 'scheduler.history_ms',
                          'scheduler.losses_max', 'scheduler.queued_max', 'scheduler.result_bytes_max'];
BEGIN
    UPDATE os.setting SET value = new_value WHERE name = setting_name;
    IF FOUND THEN
        RETURN;
    END IF;
    IF setting_name IS NULL OR NOT (setting_name = ANY (known)) THEN
        RAISE EXCEPTION 'there is no setting "%"', setting_name
            USING ERRCODE = 'TXO03', HINT = 'There are ' || array_to_string(known, ', ') || '.';
    END IF;
    INSERT INTO os.setting AS s (name, value, meaning)
    VALUES (setting_name, new_value, '')
    ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value;
END $$;
