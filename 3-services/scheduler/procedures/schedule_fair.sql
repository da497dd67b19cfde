-- Fair share by user or group: the first worker with room. Its order is what differs: its tasks wait in a queue of their user or
-- group, and of those the one that has had least, by weight, is next.
CREATE OR REPLACE FUNCTION os.schedule_fair(p int, task bigint, need_cores int DEFAULT 1, need_memory bigint DEFAULT 0)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    chosen bigint;
BEGIN
    SELECT w INTO chosen FROM os.schedule_first_fit(p, task, need_cores, need_memory, 'fair') w;
    RETURN chosen;
END
$$;
