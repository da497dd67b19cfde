-- Submits a graph of tasks: {"name": ..., "tasks": [{"name", "program", "arguments", "environment", "inputs", "outputs",
-- "after": [names], "cores", "memory", "priority", "policy", "max_attempts", "backoff_ms", "timeout_ms", "kind", and options as submit_task
-- takes them}]}. All or nothing: what is wrong with the description is named, and nothing of it stays. Options of the graph: key, paused.
CREATE OR REPLACE FUNCTION os.submit_graph(p int, graph_owner text, description jsonb, answer_to bigint DEFAULT NULL, options jsonb DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    graph bigint;
BEGIN
    graph := os.add_graph(p, graph_owner, description, answer_to, options, false);
    RETURN graph;
END
$$;
