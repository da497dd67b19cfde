-- An attempt did not end well: what stands or falls with it. Its backup copy is ended, its gang begins together again, or not at all when
-- the task is over. Internal.
CREATE OR REPLACE FUNCTION os.unsettle_others(p int, task bigint, graph bigint, more jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    final_state text;
BEGIN
    IF more ? 'backup' THEN
        PERFORM os.cancel_task(p, (more ->> 'backup')::bigint, format('task %s is tried again', task));
    END IF;
    PERFORM 1 FROM os.graph g WHERE g.p_key = p AND g.graph_id = graph AND g.gang;
    IF FOUND THEN
        SELECT t.state INTO final_state FROM os.task t WHERE t.p_key = p AND t.task_id = task;
        IF final_state IN ('failed', 'cancelled') THEN
            PERFORM os.cancel_graph(p, graph, format('task %s of its gang %s', task, final_state));
        ELSE
            PERFORM os.regroup_gang(p, graph, task);
        END IF;
    END IF;
END
$$;
