-- Makes the tasks of a graph whose specifications and dependencies stand already: those that need nothing are queued. Internal.
CREATE OR REPLACE FUNCTION os.begin_graph(p int, graph bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    all_ids bigint[] := os.graph_tasks(p, graph);
    one bigint;
BEGIN
    INSERT INTO os.task (p_key, task_id, graph_id, state, waiting_for)
    SELECT p, x.id, graph, CASE x.needs WHEN 0 THEN 'queued' ELSE 'waiting' END, x.needs
      FROM (SELECT id, (SELECT count(*) FROM os.task_dependency d WHERE d.p_key = p AND d.task_id = id)::int AS needs
              FROM unnest(all_ids) id) x;
    INSERT INTO os.task_queue (p_key, task_id, priority, cores, memory, policy)
    SELECT p, s.task_id, -s.priority, s.cores, s.memory, s.policy FROM os.task_spec s
     WHERE s.p_key = p AND s.task_id = ANY (all_ids) AND s.level = 0 AND s.options IS NULL AND s.policy <> 'fair';
    FOR one IN SELECT s.task_id FROM os.task_spec s
                WHERE s.p_key = p AND s.task_id = ANY (all_ids) AND s.level = 0 AND (s.options IS NOT NULL OR s.policy = 'fair')
                ORDER BY s.task_id
    LOOP
        PERFORM os.make_runnable(p, one);
    END LOOP;
END
$$;
