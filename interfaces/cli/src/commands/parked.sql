-- Tasks $2 to $3 of bucket $1 that no worker of the bucket is large enough for: they wait for one that is.
SELECT s.name, s.task_id, s.cores, s.memory
  FROM os.task_queue q
  JOIN os.task_spec s ON s.p_key = q.p_key AND s.task_id = q.task_id
 WHERE q.p_key = $1 AND q.parked AND q.task_id BETWEEN $2 AND $3
 ORDER BY s.task_id
 LIMIT 10
