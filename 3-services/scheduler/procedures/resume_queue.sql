-- The tasks of a queue may begin.
CREATE OR REPLACE FUNCTION os.resume_queue(p int, queue_name text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(7301, p);
    UPDATE os.queue q SET paused = false WHERE q.p_key = p AND q.queue = queue_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no queue "%" in bucket %', queue_name, p USING ERRCODE = 'TXS14', HINT = 'Make it by os.make_queue.';
    END IF;
    PERFORM os.drain_queue(p);
    PERFORM pg_notify('os_timer', p::text);
END
$$;
