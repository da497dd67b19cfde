-- As least_loaded, for tasks that ask for named resources.
CREATE OR REPLACE FUNCTION os.schedule_worst_fit(p int, task bigint, need_cores int DEFAULT 1, need_memory bigint DEFAULT 0)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    chosen bigint;
    why text;
BEGIN
    PERFORM pg_advisory_xact_lock(7301, p);
    SELECT f.worker_id, format('worst_fit: %s of %s cores were unused', f.unused_capacity, f.capacity)
      INTO chosen, why
      FROM os.fitting_workers(p, task, need_cores, need_memory) f
     ORDER BY f.unused_capacity DESC, f.worker_id
     LIMIT 1;
    IF chosen IS NOT NULL THEN
        PERFORM os.assign_task(p, task, chosen, need_cores, need_memory, why);
    END IF;
    RETURN chosen;
END
$$;
