-- Refuses one more task in a queue that has as many waiting as its queued_max allows. Internal.
CREATE OR REPLACE FUNCTION os.check_queue_bound(p int, queue_name text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    waiting_now int;
BEGIN
    SELECT q.waiting INTO waiting_now FROM os.queue q WHERE q.p_key = p AND q.queue = queue_name AND q.waiting >= q.queued_max;
    IF FOUND THEN
        RAISE EXCEPTION 'queue "%" of bucket % is full', queue_name, p
            USING ERRCODE = 'TXS08', DETAIL = format('%s tasks wait in it.', waiting_now), HINT = 'Submit again later, or raise its queued_max.';
    END IF;
END
$$;
