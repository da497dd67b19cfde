-- Refuses tasks that a full queue has no place for; the setting scheduler.queued_max says how many wait in a bucket. Internal.
CREATE OR REPLACE FUNCTION os.check_queue(p int, more int) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    most bigint;
    queued bigint;
BEGIN
    most := os.setting('scheduler.queued_max', NULL);
    IF most IS NULL THEN
        RETURN;
    END IF;
    SELECT count(*) INTO queued FROM os.task_queue q WHERE q.p_key = p;
    IF queued + more > most THEN
        RAISE EXCEPTION 'the queue of bucket % is full', p
            USING ERRCODE = 'TXS08', DETAIL = format('%s tasks wait, scheduler.queued_max is %s.', queued, most),
                  HINT = 'Submit again later, add workers, or raise the setting.';
    END IF;
END
$$;
