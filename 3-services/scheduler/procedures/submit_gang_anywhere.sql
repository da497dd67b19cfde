-- A gang over all buckets: each task is submitted in a bucket where a worker has room for it, in one transaction, or none is (TXS12). All
-- buckets with workers are locked in their order first, so two gangs wait for each other in one direction only; on Citus a transaction over
-- their nodes. A task that is lost later is queued again by itself.
CREATE OR REPLACE FUNCTION os.submit_gang_anywhere(graph_owner text, description jsonb) RETURNS SETOF bigint
LANGUAGE plpgsql AS $$
DECLARE
    described record;
    chosen record;
    task bigint;
    one int;
BEGIN
    FOR one IN SELECT DISTINCT w.p_key FROM os.worker w WHERE w.status = 'up' ORDER BY w.p_key LOOP
        PERFORM pg_advisory_xact_lock(7301, one);
    END LOOP;
    PERFORM os.check_graph(description);
    FOR described IN SELECT e AS task, coalesce((e ->> 'cores')::int, 1) AS cores, coalesce((e ->> 'memory')::bigint, 0) AS memory
                       FROM jsonb_array_elements(description -> 'tasks') WITH ORDINALITY x (e, n) ORDER BY 2 DESC, 3 DESC, n
    LOOP
        SELECT w.p_key, w.worker_id INTO chosen FROM os.worker w JOIN os.free_workers() f ON f.worker_id = w.worker_id
         WHERE w.status = 'up' AND w.unused_capacity >= described.cores AND w.unused_memory >= described.memory
           AND f.cores_left >= described.cores AND f.memory_left >= described.memory
           AND NOT EXISTS (SELECT 1 FROM os.task_queue q WHERE q.p_key = w.p_key AND q.parked = false)
         ORDER BY f.cores_left DESC, w.unused_capacity DESC, w.p_key, w.worker_id LIMIT 1;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'no worker has room for task "%" of the gang', described.task ->> 'name'
                USING ERRCODE = 'TXS12', HINT = 'Nothing was submitted. Submit it again later, or add workers.';
        END IF;
        task := os.submit_task(chosen.p_key, graph_owner, described.task ->> 'name', described.task ->> 'program',
                               ARRAY(SELECT jsonb_array_elements_text(coalesce(described.task -> 'arguments', '[]'))),
                               coalesce(described.task -> 'environment', '{}'), cores => described.cores, memory => described.memory,
                               policy => 'least_loaded', timeout_ms => (described.task ->> 'timeout_ms')::int,
                               kind => coalesce(described.task ->> 'kind', 'exec'));
        PERFORM 1 FROM os.task_lease l WHERE l.p_key = chosen.p_key AND l.task_id = task;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'task "%" of the gang found no room', described.task ->> 'name' USING ERRCODE = 'TXS12';
        END IF;
        RETURN NEXT task;
    END LOOP;
END
$$;
