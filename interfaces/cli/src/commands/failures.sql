-- The tasks of graph $2, which stands in bucket $1, that failed, with how their last attempt ended; columns as in task.sql.
SELECT s.name, t.state, t.task_id, s.owner, t.attempt, coalesce(r.error, 'it says no reason') AS error
  FROM os.task t
  JOIN os.task_spec s ON s.p_key = t.p_key AND s.task_id = t.task_id
  LEFT JOIN os.task_result r ON r.p_key = t.p_key AND r.task_id = t.task_id AND r.attempt = t.attempt
 WHERE t.p_key = $1 AND t.graph_id = $2 AND t.state = 'failed'
 ORDER BY t.task_id
