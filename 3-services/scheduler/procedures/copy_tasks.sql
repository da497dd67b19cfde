-- Copies tasks into a new graph: kept ones with their end, the others to run. Internal.
CREATE OR REPLACE FUNCTION os.copy_tasks(p int, graph bigint, first_id bigint, old_ids bigint[], kept bigint[], common jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    one bigint;
BEGIN
    INSERT INTO os.task_spec (p_key, task_id, owner, name, kind, program, arguments, environment, inputs, outputs, cores, memory,
                              priority, policy, max_attempts, backoff_ms, timeout_ms, reply_to, level, options)
    SELECT p, first_id + (x.n - 1) * 64, s.owner, s.name, s.kind, s.program, s.arguments, s.environment, s.inputs, s.outputs, s.cores, s.memory,
           s.priority, s.policy, s.max_attempts, s.backoff_ms, s.timeout_ms, s.reply_to, s.level,
           nullif(coalesce(s.options, '{}') - ARRAY['saved', 'paused', 'key']
                  || CASE WHEN s.options ? 'gang' THEN jsonb_build_object('gang', graph) ELSE '{}' END || common, '{}')
      FROM unnest(old_ids) WITH ORDINALITY x (id, n) JOIN os.task_spec s ON s.p_key = p AND s.task_id = x.id;
    WITH mapped AS (
        SELECT x.id AS old_id, first_id + (x.n - 1) * 64 AS new_id FROM unnest(old_ids) WITH ORDINALITY x (id, n)
    )
    INSERT INTO os.task_dependency (p_key, task_id, needs_id)
    SELECT p, a.new_id, b.new_id FROM os.task_dependency d
      JOIN mapped a ON a.old_id = d.task_id JOIN mapped b ON b.old_id = d.needs_id WHERE d.p_key = p;
    WITH mapped AS (
        SELECT x.id AS old_id, first_id + (x.n - 1) * 64 AS new_id FROM unnest(old_ids) WITH ORDINALITY x (id, n)
    )
    INSERT INTO os.spawned_task (p_key, parent_id, name, task_id, graph_id)
    SELECT p, a.new_id, s.name, b.new_id, graph FROM os.spawned_task s
      JOIN mapped a ON a.old_id = s.parent_id JOIN mapped b ON b.old_id = s.task_id WHERE s.p_key = p;
    INSERT INTO os.task (p_key, task_id, worker_id, graph_id, state, attempt, failures, losses, submitted_at, started_at, finished_at)
    SELECT p, first_id + (x.n - 1) * 64, t.worker_id, graph, 'done', t.attempt, t.failures, t.losses, now(), t.started_at, t.finished_at
      FROM unnest(old_ids) WITH ORDINALITY x (id, n) JOIN os.task t ON t.p_key = p AND t.task_id = x.id WHERE x.id = ANY (kept);
    INSERT INTO os.task_result
    SELECT p, first_id + (x.n - 1) * 64, r.attempt, r.outcome, r.worker_id, r.exit_code, r.error, r.cause_task_id, r.user_time_us,
           r.system_time_us, r.peak_memory, r.started_at, r.finished_at, r.result
      FROM unnest(old_ids) WITH ORDINALITY x (id, n) JOIN os.task_result r ON r.p_key = p AND r.task_id = x.id AND r.outcome = 'done'
     WHERE x.id = ANY (kept);
    INSERT INTO os.task (p_key, task_id, graph_id, state, waiting_for)
    SELECT p, y.id, graph, 'waiting', y.needs
      FROM (SELECT first_id + (x.n - 1) * 64 AS id,
                   (SELECT count(*) FROM os.task_dependency d
                     WHERE d.p_key = p AND d.task_id = first_id + (x.n - 1) * 64
                       AND NOT EXISTS (SELECT 1 FROM os.task t WHERE t.p_key = p AND t.task_id = d.needs_id AND t.state = 'done'))::int AS needs
              FROM unnest(old_ids) WITH ORDINALITY x (id, n) WHERE NOT x.id = ANY (kept)) y;
    FOR one IN SELECT t.task_id FROM os.task t
                WHERE t.p_key = p AND t.task_id BETWEEN first_id AND first_id + (cardinality(old_ids) - 1) * 64::bigint
                  AND t.state = 'waiting' AND t.waiting_for = 0 ORDER BY t.task_id
    LOOP
        PERFORM os.make_runnable(p, one);
    END LOOP;
END
$$;
