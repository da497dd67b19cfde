-- Submits a gang: a graph without needs whose tasks begin together, in one transaction, or wait together. Its graph.
CREATE OR REPLACE FUNCTION os.submit_gang(p int, graph_owner text, description jsonb, options jsonb DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    graph bigint;
    wrong text;
BEGIN
    IF jsonb_typeof(description -> 'tasks') = 'array' THEN
        SELECT e ->> 'name' INTO wrong FROM jsonb_array_elements(description -> 'tasks') e
         WHERE jsonb_typeof(e) = 'object' AND e ?| ARRAY['after', 'queue', 'start_at']
         ORDER BY 1 LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'invalid task "%": in a gang none has after, queue or start_at', wrong USING ERRCODE = 'TXS07';
        END IF;
    END IF;
    graph := os.add_graph(p, graph_owner, description, NULL, options, true);
    RETURN graph;
END
$$;
