-- Cancels a task, all that need it and all that these have spawned, as far as they are not over; how many. The task itself may be over.
CREATE OR REPLACE FUNCTION os.cancel_tree(p int, task bigint, why text DEFAULT 'cancelled by request') RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    tree bigint[] := ARRAY[task];
    next_tasks bigint[] := ARRAY[task];
    one bigint;
    before int;
    after int;
BEGIN
    PERFORM pg_advisory_xact_lock(7301, p);
    PERFORM os.find_task(p, task);
    WHILE cardinality(next_tasks) > 0 LOOP
        next_tasks := ARRAY(SELECT d.task_id FROM os.task_dependency d WHERE d.p_key = p AND d.needs_id = ANY (next_tasks)
                            UNION SELECT s.task_id FROM os.spawned_task s WHERE s.p_key = p AND s.parent_id = ANY (next_tasks)
                            EXCEPT SELECT x FROM unnest(tree) x);
        tree := tree || next_tasks;
    END LOOP;
    SELECT count(*) INTO before FROM os.task t WHERE t.p_key = p AND t.task_id = ANY (tree) AND t.state IN ('cancelled', 'cancelling');
    FOREACH one IN ARRAY tree LOOP
        PERFORM 1 FROM os.task t WHERE t.p_key = p AND t.task_id = one AND t.state NOT IN ('done', 'failed', 'cancelled', 'cancelling');
        IF FOUND THEN
            PERFORM os.cancel_task(p, one, why);
        END IF;
    END LOOP;
    SELECT count(*) INTO after FROM os.task t WHERE t.p_key = p AND t.task_id = ANY (tree) AND t.state IN ('cancelled', 'cancelling');
    RETURN after - before;
END
$$;
