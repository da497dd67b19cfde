-- Forgets tasks and graphs that ended longer ago than the setting scheduler.history_ms (30 days unless set), about how_many of
-- them; which tasks, and whose they were, so that the caller removes their logs in the same transaction.
CREATE OR REPLACE FUNCTION os.sweep_tasks(p int, how_many int DEFAULT 1000) RETURNS TABLE (task_id bigint, owner text)
LANGUAGE plpgsql AS $$
DECLARE
    before timestamptz := now() - make_interval(secs => os.setting('scheduler.history_ms', 2592000000) / 1000.0);
    old_tasks bigint[];
    old_graphs bigint[] := ARRAY[]::bigint[];
    g record;
    one bigint;
    attempts int;
    old_options jsonb;
BEGIN
    PERFORM pg_advisory_xact_lock(7301, p);
    old_tasks := ARRAY(SELECT t.task_id FROM os.task t
                        WHERE t.p_key = p AND t.graph_id IS NULL AND t.state IN ('done', 'failed', 'cancelled')
                          AND t.finished_at < before
                        ORDER BY t.task_id LIMIT how_many);
    -- A graph goes as a whole: it counts its tasks.
    FOR g IN SELECT x.graph_id FROM os.graph x
              WHERE x.p_key = p AND x.state <> 'running' AND x.finished_at < before
              ORDER BY x.graph_id LIMIT how_many
    LOOP
        EXIT WHEN cardinality(old_tasks) >= how_many;
        old_graphs := old_graphs || g.graph_id;
        old_tasks := old_tasks || os.graph_tasks(p, g.graph_id);
    END LOOP;
    FOREACH one IN ARRAY old_graphs LOOP
        DELETE FROM os.graph x WHERE x.p_key = p AND x.graph_id = one RETURNING x.options INTO old_options;
        DELETE FROM os.submitted_key k WHERE k.p_key = p AND k.key = old_options ->> 'key';
    END LOOP;
    FOREACH one IN ARRAY old_tasks LOOP
        DELETE FROM os.task t WHERE t.p_key = p AND t.task_id = one RETURNING t.attempt INTO attempts;
        -- By the whole key, which is indexed on every engine.
        FOR n IN 0..coalesce(attempts, 0) LOOP
            DELETE FROM os.task_result r WHERE r.p_key = p AND r.task_id = one AND r.attempt = n;
        END LOOP;
        DELETE FROM os.task_dependency d WHERE d.p_key = p AND d.task_id = one;
        DELETE FROM os.task_spec s WHERE s.p_key = p AND s.task_id = one RETURNING s.owner, s.options INTO owner, old_options;
        IF old_options IS NOT NULL THEN
            DELETE FROM os.submitted_key k WHERE k.p_key = p AND k.key = old_options ->> 'key';
        END IF;
        DELETE FROM os.spawned_task c WHERE c.p_key = p AND c.parent_id = one;
        task_id := one;
        RETURN NEXT;
    END LOOP;
END
$$;
