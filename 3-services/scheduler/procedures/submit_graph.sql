-- Submits a graph of tasks: {"name": ..., "tasks": [{"name", "program", "arguments", "environment", "inputs", "outputs",
-- "after": [names], "cores", "memory", "priority", "policy", "max_attempts", "backoff_ms", "timeout_ms", "kind"}]}.
-- All or nothing: what is wrong with the description is named, and nothing of it stays.
CREATE OR REPLACE FUNCTION os.submit_graph(p int, graph_owner text, description jsonb, answer_to bigint DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    graph bigint;
    first_id bigint;
    how_many int;
    roots bigint[];
BEGIN
    PERFORM pg_advisory_xact_lock(7301, p);
    PERFORM os.check_graph(description);
    how_many := jsonb_array_length(description -> 'tasks');
    PERFORM os.check_queue(p, how_many);
    PERFORM os.check_spec(e ->> 'name', e ->> 'program', coalesce((e ->> 'cores')::int, 1), coalesce((e ->> 'memory')::bigint, 0),
                          coalesce((e ->> 'max_attempts')::int, 1), coalesce((e ->> 'backoff_ms')::int, 1000),
                          (e ->> 'timeout_ms')::int, answer_to, p)
       FROM jsonb_array_elements(description -> 'tasks') e;
    PERFORM os.check_policy(x.policy) FROM (SELECT DISTINCT coalesce(e ->> 'policy', 'fifo') AS policy
                                              FROM jsonb_array_elements(description -> 'tasks') e) x;
    graph := os.next_ids(p, 'graph', 1);
    first_id := os.next_ids(p, 'task', how_many);
    INSERT INTO os.graph (p_key, graph_id, owner, name, state, first_task_id, tasks)
    VALUES (p, graph, graph_owner, coalesce(description ->> 'name', 'graph'), 'running', first_id, how_many);

    INSERT INTO os.task_spec (p_key, task_id, owner, name, kind, program, arguments, environment, inputs, outputs, cores, memory,
                              priority, policy, max_attempts, backoff_ms, timeout_ms, reply_to)
    SELECT p, first_id + (n - 1) * 64, graph_owner, e ->> 'name', coalesce(e ->> 'kind', 'exec'), e ->> 'program',
           ARRAY(SELECT jsonb_array_elements_text(coalesce(e -> 'arguments', '[]'))),
           coalesce(e -> 'environment', '{}'), coalesce(e -> 'inputs', '[]'), coalesce(e -> 'outputs', '[]'),
           coalesce((e ->> 'cores')::int, 1), coalesce((e ->> 'memory')::bigint, 0), coalesce((e ->> 'priority')::int, 0),
           coalesce(e ->> 'policy', 'fifo'), coalesce((e ->> 'max_attempts')::int, 1),
           coalesce((e ->> 'backoff_ms')::int, 1000), (e ->> 'timeout_ms')::int, answer_to
      FROM jsonb_array_elements(description -> 'tasks') WITH ORDINALITY x (e, n);
    WITH named AS (
        SELECT e ->> 'name' AS name, first_id + (n - 1) * 64 AS id
          FROM jsonb_array_elements(description -> 'tasks') WITH ORDINALITY x (e, n)
    ), wanted AS (
        SELECT first_id + (n - 1) * 64 AS id, jsonb_array_elements_text(coalesce(e -> 'after', '[]')) AS need
          FROM jsonb_array_elements(description -> 'tasks') WITH ORDINALITY x (e, n)
    )
    INSERT INTO os.task_dependency (p_key, task_id, needs_id)
    SELECT DISTINCT p, wanted.id, named.id FROM wanted JOIN named ON named.name = wanted.need;

    PERFORM os.level_graph(p, first_id, how_many);

    INSERT INTO os.task (p_key, task_id, graph_id, state, waiting_for)
    SELECT p, x.id, graph, CASE x.needs WHEN 0 THEN 'queued' ELSE 'waiting' END, x.needs
      FROM (SELECT id, (SELECT count(*) FROM os.task_dependency d WHERE d.p_key = p AND d.task_id = id)::int AS needs
              FROM generate_series(first_id, first_id + (how_many - 1) * 64::bigint, 64) id) x;
    roots := ARRAY(SELECT id FROM generate_series(first_id, first_id + (how_many - 1) * 64::bigint, 64) id
                    WHERE NOT EXISTS (SELECT 1 FROM os.task_dependency d WHERE d.p_key = p AND d.task_id = id));
    INSERT INTO os.task_queue (p_key, task_id, priority, cores, memory, policy)
    SELECT p, s.task_id, -s.priority, s.cores, s.memory, s.policy FROM os.task_spec s WHERE s.p_key = p AND s.task_id = ANY (roots);
    PERFORM os.drain_queue(p);
    RETURN graph;
END
$$;
