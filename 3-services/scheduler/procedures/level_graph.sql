-- Gives each task of a graph its level, one more than the highest of those it needs. What gets none lies on or behind a
-- cycle, which is refused and named. Internal.
CREATE OR REPLACE FUNCTION os.level_graph(p int, first_id bigint, how_many int) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    all_ids bigint[] := ARRAY(SELECT generate_series(first_id, first_id + (how_many - 1) * 64::bigint, 64));
    current_ids bigint[];
    current_level int := 0;
    levelled int := 0;
    here bigint;
    path bigint[] := '{}';
    names text;
BEGIN
    current_ids := ARRAY(SELECT id FROM unnest(all_ids) id
                          WHERE NOT EXISTS (SELECT 1 FROM os.task_dependency d WHERE d.p_key = p AND d.task_id = id));
    WHILE cardinality(current_ids) > 0 LOOP
        UPDATE os.task_spec s SET level = current_level WHERE s.p_key = p AND s.task_id = ANY (current_ids);
        levelled := levelled + cardinality(current_ids);
        -- Those that need one of these and nothing without a level.
        current_ids := ARRAY(
            SELECT candidate.id
              FROM (SELECT DISTINCT y.id FROM unnest(current_ids) c
                     CROSS JOIN LATERAL (SELECT d.task_id AS id FROM os.task_dependency d WHERE d.p_key = p AND d.needs_id = c) y) candidate
             WHERE (SELECT count(*) FROM os.task_dependency n
                     WHERE n.p_key = p AND n.task_id = candidate.id
                       AND (SELECT s.level FROM os.task_spec s WHERE s.p_key = p AND s.task_id = n.needs_id) IS NULL) = 0);
        current_level := current_level + 1;
    END LOOP;
    IF levelled = how_many THEN
        RETURN;
    END IF;

    -- From any task without a level, step to one that it needs: the first one seen twice closes the cycle.
    SELECT min(s.task_id) INTO here FROM os.task_spec s WHERE s.p_key = p AND s.task_id = ANY (all_ids) AND s.level IS NULL;
    WHILE array_position(path, here) IS NULL LOOP
        path := path || here;
        SELECT min(d.needs_id) INTO here FROM os.task_dependency d
         WHERE d.p_key = p AND d.task_id = here
           AND (SELECT s.level FROM os.task_spec s WHERE s.p_key = p AND s.task_id = d.needs_id) IS NULL;
    END LOOP;
    path := path[array_position(path, here):] || here;
    SELECT string_agg((SELECT s.name FROM os.task_spec s WHERE s.p_key = p AND s.task_id = x.id), ' -> ' ORDER BY x.n)
      INTO names FROM unnest(path) WITH ORDINALITY x (id, n);
    RAISE EXCEPTION 'the graph has a cycle: %', names
        USING ERRCODE = 'TXS04', HINT = 'Each task of the list comes after the next one; take one of these out.';
END
$$;
