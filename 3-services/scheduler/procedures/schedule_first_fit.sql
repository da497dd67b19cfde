-- As fifo, for tasks that ask for named resources; policies that differ by the order in the queue alone call it by their name.
CREATE OR REPLACE FUNCTION os.schedule_first_fit(p int, task bigint, need_cores int DEFAULT 1, need_memory bigint DEFAULT 0,
                                                 by_policy text DEFAULT 'first_fit')
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    chosen bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(7301, p);
    SELECT f.worker_id INTO chosen FROM os.fitting_workers(p, task, need_cores, need_memory) f ORDER BY f.worker_id LIMIT 1;
    IF chosen IS NOT NULL THEN
        PERFORM os.assign_task(p, task, chosen, need_cores, need_memory, by_policy);
    END IF;
    RETURN chosen;
END
$$;
