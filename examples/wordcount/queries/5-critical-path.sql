-- 5. The critical path: from the task that ended last back to the one that each task waited for longest
WITH RECURSIVE newest AS (
    SELECT p_key, graph_id, submitted_at FROM os.graph WHERE name = 'wordcount' ORDER BY submitted_at DESC LIMIT 1
), path (p_key, task_id, started_at, finished_at) AS (
    (SELECT t.p_key, t.task_id, t.started_at, t.finished_at
       FROM newest g
       JOIN os.task t ON t.p_key = g.p_key AND t.graph_id = g.graph_id
      ORDER BY t.finished_at DESC, t.task_id DESC LIMIT 1)
    UNION ALL
    SELECT before.p_key, before.task_id, before.started_at, before.finished_at
      FROM path
     CROSS JOIN LATERAL (
           SELECT t.p_key, t.task_id, t.started_at, t.finished_at
             FROM os.task_dependency d
             JOIN os.task t ON t.p_key = d.p_key AND t.task_id = d.needs_id
            WHERE d.p_key = path.p_key AND d.task_id = path.task_id
            ORDER BY t.finished_at DESC, t.task_id DESC LIMIT 1) before
)
SELECT s.name,
       round(extract(epoch FROM path.started_at - g.submitted_at) * 1000) AS began_ms,
       round(extract(epoch FROM path.finished_at - path.started_at) * 1000) AS ran_ms,
       round(extract(epoch FROM path.finished_at - g.submitted_at) * 1000) AS ended_ms
  FROM path
  JOIN os.task_spec s ON s.p_key = path.p_key AND s.task_id = path.task_id
 CROSS JOIN newest g
 ORDER BY path.finished_at;
