-- The options among the keys of a graph's task; '{}' for none. Internal.
CREATE OR REPLACE FUNCTION os.graph_task_options(p int, described jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    options jsonb := '{}';
BEGIN
    IF described ?| ARRAY['class', 'resources', 'queue', 'group', 'backoff_max_ms', 'jitter', 'start_at', 'code', 'paused'] THEN
        options := described - ARRAY['name', 'program', 'arguments', 'environment', 'inputs', 'outputs', 'after', 'cores', 'memory', 'priority',
                                     'policy', 'max_attempts', 'backoff_ms', 'timeout_ms', 'kind'];
        PERFORM os.check_options(p, described ->> 'name', options);
    END IF;
    IF described ->> 'policy' LIKE '@%' THEN
        options := options || jsonb_build_object('class', substr(described ->> 'policy', 2));
    END IF;
    IF described ->> 'kind' = 'sql' AND NOT options ? 'code' THEN
        options := options || jsonb_strip_nulls(jsonb_build_object('code', os.code_version(described ->> 'program')));
    END IF;
    RETURN options;
END
$$;
