-- Task $2, which stands in bucket $1: how far it is, how its last attempt ended, and the channel that tells of its end.
SELECT s.name, t.state, t.task_id, s.owner, t.attempt, coalesce(r.error, 'it says no reason') AS error,
       CASE WHEN t.graph_id IS NULL THEN 'os_task_' || t.task_id ELSE 'os_graph_' || t.graph_id END AS channel,
       (extract(epoch FROM coalesce(t.finished_at, now()) - t.submitted_at) * 1000)::bigint AS elapsed_ms,
       r.result::text AS result
  FROM os.task t
  JOIN os.task_spec s ON s.p_key = t.p_key AND s.task_id = t.task_id
  LEFT JOIN os.task_result r ON r.p_key = t.p_key AND r.task_id = t.task_id AND r.attempt = t.attempt
 WHERE t.p_key = $1 AND t.task_id = $2
