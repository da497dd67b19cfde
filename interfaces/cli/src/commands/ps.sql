-- The tasks, newest first: of one graph ($1), in one state ($2), or those that are not over unless $3 says all.
SELECT t.task_id, s.name, t.state, t.worker_id AS worker, t.attempt,
       round((r.user_time_us + r.system_time_us) / 1000.0) AS cpu_ms,
       round(coalesce(r.peak_memory, s.memory) / 1048576.0, 1) AS memory_mib,
       round(extract(epoch FROM coalesce(t.finished_at, now()) - coalesce(t.started_at, t.submitted_at)), 2) AS seconds,
       t.graph_id AS graph
  FROM os.task t
  JOIN os.task_spec s ON s.p_key = t.p_key AND s.task_id = t.task_id
  LEFT JOIN os.task_result r ON r.p_key = t.p_key AND r.task_id = t.task_id AND r.attempt = t.attempt
 WHERE ($1::bigint IS NULL OR t.graph_id = $1)
   AND ($2::text IS NULL OR t.state = $2)
   AND ($3::bool OR t.state NOT IN ('done', 'failed', 'cancelled'))
 ORDER BY t.submitted_at DESC, t.task_id
