-- Task $2, which stands in bucket $1: whose it is, how far it is, and how its attempt $3 (null: the last one) ended.
SELECT s.owner, s.name, t.state, coalesce($3::int, t.attempt) AS attempt, t.graph_id, r.outcome, r.error, t.attempt AS last_attempt
  FROM os.task t
  JOIN os.task_spec s ON s.p_key = t.p_key AND s.task_id = t.task_id
  LEFT JOIN os.task_result r ON r.p_key = t.p_key AND r.task_id = t.task_id AND r.attempt = coalesce($3::int, t.attempt)
 WHERE t.p_key = $1 AND t.task_id = $2
