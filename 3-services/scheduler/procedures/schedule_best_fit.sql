-- Bin packing: the worker that has least room left afterwards, cores and memory by their shares, so that large gaps stay.
CREATE OR REPLACE FUNCTION os.schedule_best_fit(p int, task bigint, need_cores int DEFAULT 1, need_memory bigint DEFAULT 0)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    chosen bigint;
    why text;
BEGIN
    PERFORM pg_advisory_xact_lock(7301, p);
    SELECT f.worker_id, format('best_fit: leaves %s cores, %s bytes', f.unused_capacity - need_cores, f.unused_memory - need_memory)
      INTO chosen, why
      FROM os.fitting_workers(p, task, need_cores, need_memory) f
     ORDER BY (f.unused_capacity - need_cores)::float8 / f.capacity + (f.unused_memory - need_memory)::float8 / greatest(f.memory, 1),
              f.worker_id
     LIMIT 1;
    IF chosen IS NOT NULL THEN
        PERFORM os.assign_task(p, task, chosen, need_cores, need_memory, why);
    END IF;
    RETURN chosen;
END
$$;
