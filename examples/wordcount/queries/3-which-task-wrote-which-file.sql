-- 3. Which task wrote which file
WITH newest AS (
    SELECT p_key, graph_id, owner FROM os.graph WHERE name = 'wordcount' ORDER BY submitted_at DESC LIMIT 1
)
SELECT s.name AS task, f.f_name AS file, f.f_size AS bytes, f.version
  FROM newest g
  CROSS JOIN LATERAL os.list_tree(g.p_key, '/home/' || g.owner || '/wordcount') f
  JOIN os.task t ON t.p_key = g.p_key AND t.task_id = f.writer_task_id AND t.graph_id = g.graph_id
  JOIN os.task_spec s ON s.p_key = t.p_key AND s.task_id = t.task_id
 WHERE f.kind = 'file'
 ORDER BY f.f_name;
