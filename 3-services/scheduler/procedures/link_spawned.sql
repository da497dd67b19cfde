-- Puts a spawned task into its place: after what it needs, before what needs its parent, counted by its graph. Internal.
CREATE OR REPLACE FUNCTION os.link_spawned(p int, parent bigint, task bigint, graph bigint, needs bigint[], hold bool) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    open_needs int;
    followers bigint[];
BEGIN
    INSERT INTO os.task_dependency (p_key, task_id, needs_id) SELECT DISTINCT p, task, n FROM unnest(needs) n;
    SELECT count(*) INTO open_needs FROM os.task_dependency d JOIN os.task t ON t.p_key = p AND t.task_id = d.needs_id
     WHERE d.p_key = p AND d.task_id = task AND t.state <> 'done';
    INSERT INTO os.task (p_key, task_id, graph_id, state, waiting_for) VALUES (p, task, graph, 'waiting', open_needs);
    IF graph IS NOT NULL THEN
        UPDATE os.graph g SET tasks = g.tasks + 1 WHERE g.p_key = p AND g.graph_id = graph;
        IF hold THEN
            followers := ARRAY(SELECT d.task_id FROM os.task_dependency d WHERE d.p_key = p AND d.needs_id = parent
                               EXCEPT SELECT n FROM unnest(needs) n);
            followers := ARRAY(SELECT f FROM unnest(followers) f JOIN os.task t ON t.p_key = p AND t.task_id = f
                                WHERE f <> task AND t.state = 'waiting'
                                  AND NOT EXISTS (SELECT 1 FROM os.spawned_task s WHERE s.p_key = p AND s.parent_id = parent AND s.task_id = f));
            INSERT INTO os.task_dependency (p_key, task_id, needs_id) SELECT p, f, task FROM unnest(followers) f;
            UPDATE os.task t SET waiting_for = t.waiting_for + 1 WHERE t.p_key = p AND t.task_id = ANY (followers);
        END IF;
    END IF;
    IF open_needs = 0 THEN
        PERFORM os.check_queue(p, 1);
        PERFORM os.make_runnable(p, task);
        PERFORM os.drain_queue(p);
    END IF;
END
$$;
