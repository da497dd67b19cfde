-- 2. Memory and processor time of every attempt, the most expensive first
WITH newest AS (
    SELECT p_key, graph_id FROM os.graph WHERE name = 'wordcount' ORDER BY submitted_at DESC LIMIT 1
)
SELECT s.name, r.attempt, r.outcome, r.exit_code,
       round(r.user_time_us / 1000.0, 1) AS user_ms,
       round(r.system_time_us / 1000.0, 1) AS system_ms,
       round(r.peak_memory / 1048576.0, 1) AS peak_mib,
       round(s.memory / 1048576.0, 1) AS declared_mib
  FROM newest g
  JOIN os.task t ON t.p_key = g.p_key AND t.graph_id = g.graph_id
  JOIN os.task_spec s ON s.p_key = t.p_key AND s.task_id = t.task_id
  JOIN os.task_result r ON r.p_key = t.p_key AND r.task_id = t.task_id
 ORDER BY r.user_time_us + r.system_time_us DESC NULLS LAST, s.name, r.attempt;
