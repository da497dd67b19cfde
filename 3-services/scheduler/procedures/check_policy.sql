-- Refuses a policy that nobody has written: its task would stop the queue when its turn comes. Internal.
CREATE OR REPLACE FUNCTION os.check_policy(policy text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    class_name text := CASE WHEN policy LIKE '@%' THEN substr(policy, 2) END;
BEGIN
    IF policy IN ('fifo', 'locality', 'least_loaded', 'first_fit', 'worst_fit', 'best_fit', 'ageing', 'fair') THEN
        RETURN;
    END IF;
    IF class_name IS NOT NULL THEN
        PERFORM 1 FROM os.task_class c WHERE c.class = class_name;
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;
    PERFORM 1 FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
      WHERE n.nspname = 'os' AND f.proname = 'schedule_' || policy;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no policy "%"', policy
            USING ERRCODE = 'TXS07',
                  HINT = 'There are fifo, locality, least_loaded, first_fit, worst_fit, best_fit, ageing, fair, '
                         'what you write as os.schedule_NAME, and @CLASS for a class of os.task_class.';
    END IF;
END
$$;
