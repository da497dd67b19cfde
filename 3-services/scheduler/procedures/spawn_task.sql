-- A running attempt adds a task, to its graph where it is in one. The same parent and name give the same task again, so an attempt that is
-- repeated spawns once. hold: what needs the parent needs the new task as well. Refused to an attempt that is stale.
CREATE OR REPLACE FUNCTION os.spawn_task(
    p int, parent bigint, attempt_no int, name text, program text, arguments text[] DEFAULT '{}', environment jsonb DEFAULT '{}',
    inputs jsonb DEFAULT '[]', outputs jsonb DEFAULT '[]', cores int DEFAULT 1, memory bigint DEFAULT 0, options jsonb DEFAULT NULL,
    needs bigint[] DEFAULT '{}', hold bool DEFAULT true)
RETURNS bigint LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
    described jsonb;
    graph bigint;
    by_owner text;
    task bigint;
    asked jsonb;
BEGIN
    PERFORM os.check_attempt(p, parent, attempt_no);
    SELECT s.task_id INTO task FROM os.spawned_task s WHERE s.p_key = p AND s.parent_id = parent AND s.name = name;
    IF FOUND THEN
        RETURN task;
    END IF;
    SELECT t.graph_id, s.owner INTO graph, by_owner FROM os.task t JOIN os.task_spec s ON s.p_key = p AND s.task_id = t.task_id
     WHERE t.p_key = p AND t.task_id = parent;
    described := jsonb_build_object('name', name, 'program', program, 'arguments', arguments, 'environment', environment, 'inputs', inputs,
                                    'outputs', outputs, 'cores', cores, 'memory', memory) || coalesce(options, '{}');
    PERFORM os.check_graph(jsonb_build_object('tasks', jsonb_build_array(described)));
    PERFORM os.check_spec(name, program, cores, memory, coalesce((described ->> 'max_attempts')::int, 1),
                          coalesce((described ->> 'backoff_ms')::int, 1000), (described ->> 'timeout_ms')::int, NULL, p);
    PERFORM os.check_policy(coalesce(described ->> 'policy', 'fifo'));
    PERFORM os.check_spawn(p, name, graph, needs);
    asked := os.graph_task_options(p, described);
    PERFORM 1 FROM os.graph g WHERE g.p_key = p AND g.graph_id = graph AND g.options @> '{"paused": true}';
    IF FOUND THEN
        asked := asked || '{"paused": true}';
    END IF;
    task := os.next_ids(p, 'task', 1);
    INSERT INTO os.task_spec VALUES (p, task, by_owner, name, coalesce(described ->> 'kind', 'exec'), program, arguments, environment, inputs,
                                     outputs, cores, memory, coalesce((described ->> 'priority')::int, 0),
                                     coalesce(described ->> 'policy', 'fifo'), coalesce((described ->> 'max_attempts')::int, 1),
                                     coalesce((described ->> 'backoff_ms')::int, 1000), (described ->> 'timeout_ms')::int, NULL, 0,
                                     nullif(asked, '{}'));
    INSERT INTO os.spawned_task VALUES (p, parent, name, task, graph);
    PERFORM os.link_spawned(p, parent, task, graph, needs, hold);
    RETURN task;
END
$$;
