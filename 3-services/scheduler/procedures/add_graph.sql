-- Submits a graph, or a gang: a graph without needs whose tasks begin together. Internal.
CREATE OR REPLACE FUNCTION os.add_graph(p int, graph_owner text, description jsonb, answer_to bigint, graph_options jsonb, as_gang bool)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    graph bigint;
    first_id bigint;
    how_many int;
    common jsonb := '{}';
    fingerprint text;
    one bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(7301, p);
    IF graph_options IS NOT NULL THEN
        PERFORM os.check_graph_options(graph_options);
        fingerprint := md5(jsonb_build_array(graph_owner, description, answer_to, graph_options, as_gang)::text);
        graph := os.find_key(p, graph_options ->> 'key', fingerprint);
        IF graph IS NOT NULL THEN
            RETURN graph;
        END IF;
        common := graph_options - 'key';
    END IF;
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
    IF as_gang THEN
        common := common || jsonb_build_object('gang', graph);
    END IF;
    IF graph_options ? 'key' THEN
        INSERT INTO os.submitted_key VALUES (p, graph_options ->> 'key', graph, fingerprint);
    END IF;
    INSERT INTO os.graph (p_key, graph_id, owner, name, state, first_task_id, tasks, options, gang)
    VALUES (p, graph, graph_owner, coalesce(description ->> 'name', 'graph'), 'running', first_id, how_many, graph_options, as_gang);

    INSERT INTO os.task_spec (p_key, task_id, owner, name, kind, program, arguments, environment, inputs, outputs, cores, memory,
                              priority, policy, max_attempts, backoff_ms, timeout_ms, reply_to, options)
    SELECT p, first_id + (n - 1) * 64, graph_owner, e ->> 'name', coalesce(e ->> 'kind', 'exec'), e ->> 'program',
           ARRAY(SELECT jsonb_array_elements_text(coalesce(e -> 'arguments', '[]'))),
           coalesce(e -> 'environment', '{}'), coalesce(e -> 'inputs', '[]'), coalesce(e -> 'outputs', '[]'),
           coalesce((e ->> 'cores')::int, 1), coalesce((e ->> 'memory')::bigint, 0), coalesce((e ->> 'priority')::int, 0),
           coalesce(e ->> 'policy', 'fifo'), coalesce((e ->> 'max_attempts')::int, 1),
           coalesce((e ->> 'backoff_ms')::int, 1000), (e ->> 'timeout_ms')::int, answer_to,
           nullif(os.graph_task_options(p, e) || common, '{}')
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
    PERFORM os.begin_graph(p, graph);
    PERFORM os.drain_queue(p);
    RETURN graph;
END
$$;
