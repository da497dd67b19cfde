-- The tasks of graph $2, which stands in bucket $1, that failed, with how their last attempt ended.
SELECT t.task_id, s.name, s.owner, r.attempt, r.exit_code, r.error
  FROM os.task t
  JOIN os.task_spec s ON s.p_key = t.p_key AND s.task_id = t.task_id
  LEFT JOIN os.task_result r ON r.p_key = t.p_key AND r.task_id = t.task_id AND r.attempt = t.attempt
 WHERE t.p_key = $1 AND t.graph_id = $2 AND t.state = 'failed'
 ORDER BY t.task_id
