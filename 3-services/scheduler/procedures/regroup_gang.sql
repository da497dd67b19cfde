-- A task of a gang failed or was lost: the others are taken back from their workers, to begin together again. Internal.
CREATE OR REPLACE FUNCTION os.regroup_gang(p int, graph bigint, except_task bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    one os.task;
BEGIN
    FOR one IN SELECT t.* FROM os.task t
                WHERE t.p_key = p AND t.task_id IN (SELECT m FROM os.gang_members(p, graph) m WHERE m <> except_task)
                  AND t.state IN ('assigned', 'running') ORDER BY t.task_id
    LOOP
        IF one.state = 'running' THEN
            INSERT INTO os.task_result (p_key, task_id, attempt, outcome, worker_id, error, started_at)
            VALUES (p, one.task_id, one.attempt, 'lost', one.worker_id, format('task %s of its gang did not end well', except_task), one.started_at);
            PERFORM pg_notify('os_worker_' || one.worker_id, 'cancel ' || one.task_id);
        END IF;
        PERFORM os.release_lease(p, one.task_id);
        PERFORM os.make_runnable(p, one.task_id);
    END LOOP;
    PERFORM os.gather_gang(p, graph);
END
$$;
