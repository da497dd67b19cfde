-- Refuses a policy that nobody has written: its task would stop the queue when its turn comes. Internal.
CREATE OR REPLACE FUNCTION os.check_policy(policy text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF policy IN ('fifo', 'locality', 'least_loaded') THEN
        RETURN;
    END IF;
    PERFORM 1 FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
      WHERE n.nspname = 'os' AND f.proname = 'schedule_' || policy;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no policy "%"', policy
            USING ERRCODE = 'TXS07', HINT = 'There are fifo, locality, least_loaded, and what you write as os.schedule_NAME.';
    END IF;
END
$$;
