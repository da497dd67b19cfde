-- 4. Messages by pair of sender and receiver, those that wait and those that were received
WITH newest AS (
    SELECT p_key, graph_id FROM os.graph WHERE name = 'wordcount' ORDER BY submitted_at DESC LIMIT 1
), sent AS (
    SELECT sender_id, receiver_id, data, sent_at, false AS received FROM os.message
    UNION ALL
    SELECT sender_id, receiver_id, data, sent_at, true FROM os.message_history
)
SELECT s.name AS sender,
       CASE m.receiver_id WHEN os.address('wordcount') THEN 'wordcount' ELSE m.receiver_id::text END AS receiver,
       count(*) AS messages, count(*) FILTER (WHERE m.received) AS received, sum(length(m.data)) AS bytes,
       max(convert_from(m.data, 'UTF8')) AS text
  FROM newest g
  JOIN os.task t ON t.p_key = g.p_key AND t.graph_id = g.graph_id
  JOIN os.task_spec s ON s.p_key = t.p_key AND s.task_id = t.task_id
  JOIN sent m ON m.sender_id = t.task_id
 GROUP BY s.name, m.receiver_id
 ORDER BY s.name, m.receiver_id;
