-- Priority with ageing: the first worker with room. Its order in the queue is what differs: age_queue moves what waits up by one
-- priority for every scheduler.ageing_ms.
CREATE OR REPLACE FUNCTION os.schedule_ageing(p int, task bigint, need_cores int DEFAULT 1, need_memory bigint DEFAULT 0)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    chosen bigint;
BEGIN
    SELECT w INTO chosen FROM os.schedule_first_fit(p, task, need_cores, need_memory, 'ageing') w;
    RETURN chosen;
END
$$;
