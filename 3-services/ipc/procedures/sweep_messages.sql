-- Forgets received messages older than the setting ipc.history_ms (a week unless set); how many.
CREATE OR REPLACE FUNCTION os.sweep_messages(p int) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    before timestamptz := now() - make_interval(secs => os.setting('ipc.history_ms', 604800000) / 1000.0);
    swept bigint;
BEGIN
    DELETE FROM os.message_history m WHERE m.p_key = p AND m.received_at < before;
    GET DIAGNOSTICS swept = ROW_COUNT;
    RETURN swept;
END
$$;
