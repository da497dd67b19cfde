-- Submits a task as a graph describes it, or a graph. Its identifier. Internal.
CREATE OR REPLACE FUNCTION os.submit_described(p int, by_owner text, described jsonb) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    id bigint;
BEGIN
    IF described ? 'tasks' THEN
        id := os.add_graph(p, by_owner, described, NULL, NULL, false);
    ELSE
        id := os.submit_task(p, by_owner, described ->> 'name', described ->> 'program',
                             ARRAY(SELECT jsonb_array_elements_text(coalesce(described -> 'arguments', '[]'))),
                             coalesce(described -> 'environment', '{}'), coalesce(described -> 'inputs', '[]'),
                             coalesce(described -> 'outputs', '[]'), coalesce((described ->> 'cores')::int, 1),
                             coalesce((described ->> 'memory')::bigint, 0), coalesce((described ->> 'priority')::int, 0),
                             coalesce(described ->> 'policy', 'fifo'), coalesce((described ->> 'max_attempts')::int, 1),
                             coalesce((described ->> 'backoff_ms')::int, 1000), (described ->> 'timeout_ms')::int, NULL,
                             coalesce(described ->> 'kind', 'exec'), 0, nullif(os.graph_task_options(p, described), '{}'));
    END IF;
    RETURN id;
END
$$;
