-- Lets a policy choose a worker and wakes it. Null: none has room. Internal.
-- A policy is a procedure os.schedule_NAME(p, task, cores, memory) that does what the three below do; users add their own.
CREATE OR REPLACE FUNCTION os.place_task(p int, task bigint, need_cores int, need_memory bigint, by_policy text)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    worker bigint;
BEGIN
    IF by_policy = 'fifo' THEN
        SELECT w INTO worker FROM os.schedule_fifo(p, task, need_cores, need_memory) w;
    ELSIF by_policy = 'least_loaded' THEN
        SELECT w INTO worker FROM os.schedule_least_loaded(p, task, need_cores, need_memory) w;
    ELSIF by_policy = 'locality' THEN
        SELECT w INTO worker FROM os.schedule_locality(p, task, need_cores, need_memory) w;
    ELSE
        SELECT w INTO worker FROM os.place_by_policy(p, task, need_cores, need_memory, by_policy) w;
    END IF;
    IF worker IS NOT NULL THEN
        PERFORM pg_notify('os_worker_' || worker, p::text);
    END IF;
    RETURN worker;
END
$$;
