-- A new graph from one that there is: done tasks before from_name are kept with their results, from_name, all behind it and all that is not
-- done run anew. Tasks that were spawned are kept where their parents are. The new graph.
CREATE OR REPLACE FUNCTION os.fork_graph(p int, graph bigint, from_name text, options jsonb DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    g os.graph%ROWTYPE;
    old_ids bigint[];
    anew bigint[];
    next_tasks bigint[];
    kept bigint[];
    forked bigint;
    first_id bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(7301, p);
    SELECT * INTO g FROM os.graph x WHERE x.p_key = p AND x.graph_id = graph;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no graph %', graph USING ERRCODE = 'TXS11', HINT = 'Its bucket is its low six bits.';
    END IF;
    IF options IS NOT NULL THEN
        PERFORM os.check_graph_options(options);
    END IF;
    old_ids := os.graph_tasks(p, graph);
    next_tasks := ARRAY(SELECT s.task_id FROM os.task_spec s WHERE s.p_key = p AND s.task_id = ANY (old_ids) AND s.name = from_name);
    IF cardinality(next_tasks) = 0 THEN
        RAISE EXCEPTION 'graph % has no task "%"', graph, from_name USING ERRCODE = 'TXS01';
    END IF;
    next_tasks := next_tasks || ARRAY(SELECT t.task_id FROM os.task t WHERE t.p_key = p AND t.task_id = ANY (old_ids) AND t.state <> 'done');
    WHILE cardinality(next_tasks) > 0 LOOP
        anew := anew || next_tasks;
        next_tasks := ARRAY(SELECT d.task_id FROM os.task_dependency d WHERE d.p_key = p AND d.needs_id = ANY (next_tasks)
                            UNION SELECT s.task_id FROM os.spawned_task s WHERE s.p_key = p AND s.parent_id = ANY (next_tasks)
                            EXCEPT SELECT x FROM unnest(anew) x);
    END LOOP;
    -- What a task that runs anew has spawned, it spawns anew.
    old_ids := ARRAY(SELECT x.id FROM unnest(old_ids) WITH ORDINALITY x (id, n)
                      WHERE NOT EXISTS (SELECT 1 FROM os.spawned_task s
                                         WHERE s.p_key = p AND s.graph_id = graph AND s.task_id = x.id AND s.parent_id = ANY (anew))
                      ORDER BY x.n);
    kept := ARRAY(SELECT x FROM unnest(old_ids) x EXCEPT SELECT y FROM unnest(anew) y);
    forked := os.next_ids(p, 'graph', 1);
    first_id := os.next_ids(p, 'task', cardinality(old_ids));
    INSERT INTO os.graph (p_key, graph_id, owner, name, state, first_task_id, tasks, done, options, gang)
    VALUES (p, forked, g.owner, g.name, 'running', first_id, cardinality(old_ids), cardinality(kept), options, g.gang);
    PERFORM os.copy_tasks(p, forked, first_id, old_ids, kept, CASE WHEN options @> '{"paused": true}' THEN '{"paused": true}'::jsonb ELSE '{}' END);
    PERFORM os.drain_queue(p);
    RETURN forked;
END
$$;
