-- Takes all tasks from a worker; how many. Internal.
CREATE OR REPLACE FUNCTION os.lose_worker(p int, worker bigint, why text) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    held bigint[] := ARRAY(SELECT l.task_id FROM os.task_lease l
                            WHERE l.p_key = p AND l.worker_id = worker ORDER BY l.task_id);
    one bigint;
BEGIN
    FOREACH one IN ARRAY held LOOP
        PERFORM os.lose_attempt(p, one, why);
    END LOOP;
    RETURN cardinality(held);
END
$$;
