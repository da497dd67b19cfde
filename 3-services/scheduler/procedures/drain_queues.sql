-- drain_queue where tasks wait in queues with limits, too: the next of those and the next of the bucket's own go by priority, then by
-- identifier. Internal.
CREATE OR REPLACE FUNCTION os.drain_queues(p int) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    head record;
    other record;
    worker bigint;
    placed int := 0;
BEGIN
    LOOP
        SELECT q.task_id AS task, q.priority AS rank, NULL::text AS of_queue, q.cores, q.memory, q.policy INTO head FROM os.task_queue q
         WHERE q.p_key = p AND q.parked = false
         ORDER BY q.priority, q.task_id
         LIMIT 1;
        SELECT * INTO other FROM os.next_in_queues(p);
        IF other.task IS NOT NULL AND (head.task IS NULL OR (other.rank, other.task) < (head.rank, head.task)) THEN
            head := other;
        END IF;
        EXIT WHEN head.task IS NULL;
        worker := os.place_task(p, head.task, head.cores, head.memory, head.policy);
        IF worker IS NULL THEN
            PERFORM 1 FROM os.worker w WHERE w.p_key = p AND w.status = 'up';
            EXIT WHEN NOT FOUND OR os.fits_empty(p, head.task, head.cores, head.memory);
            UPDATE os.task_queue q SET parked = true WHERE q.p_key = p AND q.task_id = head.task;
            UPDATE os.queue_task q SET parked = true WHERE q.p_key = p AND q.task_id = head.task;
            CONTINUE;
        ELSIF head.of_queue IS NULL THEN
            PERFORM os.leave_queue(p, head.task);
        ELSE
            PERFORM os.begin_from_queue(p, head.task, head.of_queue, head.cores);
        END IF;
        placed := placed + 1;
    END LOOP;
    RETURN placed;
END
$$;
