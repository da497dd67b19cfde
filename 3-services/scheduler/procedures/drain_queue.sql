-- Gives queued tasks to workers that have room, first come first served within a priority; how many.
-- It stops at the first task that has to wait, so that a large one is not passed by small ones for ever.
CREATE OR REPLACE FUNCTION os.drain_queue(p int) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    head record;
    worker bigint;
    placed int := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(7301, p);
    PERFORM 1 FROM os.queue_task q WHERE q.p_key = p;
    IF FOUND THEN
        RETURN os.drain_queues(p);
    END IF;
    LOOP
        SELECT q.task_id, q.cores, q.memory, q.policy, q.resources INTO head FROM os.task_queue q
         WHERE q.p_key = p AND q.parked = false
         ORDER BY q.priority, q.task_id
         LIMIT 1;
        EXIT WHEN NOT FOUND;
        worker := os.place_task(p, head.task_id, head.cores, head.memory, head.policy);
        IF worker IS NOT NULL THEN
            DELETE FROM os.task_queue q WHERE q.p_key = p AND q.task_id = head.task_id;
            placed := placed + 1;
        ELSE
            PERFORM 1 FROM os.worker w WHERE w.p_key = p AND w.status = 'up';
            EXIT WHEN NOT FOUND;
            PERFORM 1 FROM os.worker w
              WHERE w.p_key = p AND w.status = 'up' AND w.capacity >= head.cores AND w.memory >= head.memory;
            EXIT WHEN FOUND AND (head.resources IS NULL OR os.fits_empty(p, head.task_id, head.cores, head.memory));
            UPDATE os.task_queue q SET parked = true WHERE q.p_key = p AND q.task_id = head.task_id;
        END IF;
    END LOOP;
    RETURN placed;
END
$$;
