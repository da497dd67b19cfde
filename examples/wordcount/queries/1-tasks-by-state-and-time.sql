-- 1. Tasks by state and time
WITH newest AS (
    SELECT p_key, graph_id, submitted_at FROM os.graph WHERE name = 'wordcount' ORDER BY submitted_at DESC LIMIT 1
)
SELECT t.state, s.name, t.task_id AS task, t.attempt AS attempts, t.worker_id AS worker,
       round(extract(epoch FROM t.started_at - g.submitted_at) * 1000) AS began_ms,
       round(extract(epoch FROM t.finished_at - t.started_at) * 1000) AS ran_ms
  FROM newest g
  JOIN os.task t ON t.p_key = g.p_key AND t.graph_id = g.graph_id
  JOIN os.task_spec s ON s.p_key = t.p_key AND s.task_id = t.task_id
 ORDER BY t.state, t.started_at, t.task_id;
