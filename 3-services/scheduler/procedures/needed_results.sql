-- The results of the tasks that a task needs, by their names. Internal.
CREATE OR REPLACE FUNCTION os.needed_results(p int, task bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    results jsonb;
BEGIN
    SELECT jsonb_object_agg(s.name, r.result) INTO results
      FROM os.task_dependency d
      JOIN os.task_result r ON r.p_key = p AND r.task_id = d.needs_id AND r.outcome = 'done' AND r.result IS NOT NULL
      JOIN os.task_spec s ON s.p_key = p AND s.task_id = d.needs_id
     WHERE d.p_key = p AND d.task_id = task;
    RETURN coalesce(results, '{}');
END
$$;
