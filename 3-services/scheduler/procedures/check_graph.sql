-- Refuses a description that is no graph: shape, duplicate names, unknown names. Internal.
CREATE OR REPLACE FUNCTION os.check_graph(description jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    wrong record;
    most bigint;
BEGIN
    IF jsonb_typeof(description -> 'tasks') IS DISTINCT FROM 'array' OR jsonb_array_length(description -> 'tasks') = 0 THEN
        RAISE EXCEPTION 'the graph has no tasks' USING ERRCODE = 'TXS07', HINT = 'It needs an array "tasks" with a task at least.';
    END IF;
    most := os.setting('scheduler.graph_tasks_max', 100000);
    IF jsonb_array_length(description -> 'tasks') > most THEN
        RAISE EXCEPTION 'the graph has more than % tasks', most
            USING ERRCODE = 'TXS07', HINT = 'The setting scheduler.graph_tasks_max bounds it.';
    END IF;

    SELECT n, key INTO wrong
      FROM jsonb_array_elements(description -> 'tasks') WITH ORDINALITY x (e, n),
           unnest(ARRAY['name', 'program', 'kind', 'policy', 'arguments', 'inputs', 'outputs', 'after', 'environment', 'cores',
                        'memory', 'priority', 'max_attempts', 'backoff_ms', 'timeout_ms'],
                  ARRAY['string', 'string', 'string', 'string', 'array', 'array', 'array', 'array', 'object', 'number',
                        'number', 'number', 'number', 'number', 'number']) AS known (key, expected)
     WHERE jsonb_typeof(e) <> 'object'
        OR (key IN ('name', 'program') AND e -> key IS NULL)
        OR (e -> key IS NOT NULL AND jsonb_typeof(e -> key) <> expected)
     ORDER BY n, key LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'task % of the graph: "%" is missing or not of the right kind', wrong.n, wrong.key
            USING ERRCODE = 'TXS07';
    END IF;
    SELECT e ->> 'name' AS name INTO wrong FROM jsonb_array_elements(description -> 'tasks') e
     GROUP BY 1 HAVING count(*) > 1 ORDER BY 1 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the graph has two tasks named "%"', wrong.name USING ERRCODE = 'TXS06';
    END IF;

    WITH named AS (
        SELECT e ->> 'name' AS name FROM jsonb_array_elements(description -> 'tasks') e
    ), wanted AS (
        SELECT e ->> 'name' AS name, jsonb_array_elements_text(coalesce(e -> 'after', '[]')) AS need
          FROM jsonb_array_elements(description -> 'tasks') e
    )
    SELECT wanted.name, wanted.need INTO wrong FROM wanted LEFT JOIN named ON named.name = wanted.need
     WHERE named.name IS NULL ORDER BY 1, 2 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'task "%" comes after "%", which is not in the graph', wrong.name, wrong.need USING ERRCODE = 'TXS05';
    END IF;
END
$$;
