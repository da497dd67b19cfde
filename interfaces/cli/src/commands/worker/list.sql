-- Workers over all buckets that they serve; with $1 also those that left or were lost.
SELECT w.worker_id AS worker, min(w.host) AS host,
       CASE WHEN min(w.status) = max(w.status) THEN min(w.status) ELSE 'mixed' END AS status,
       max(w.capacity) AS cores, sum(w.capacity - w.unused_capacity) AS busy_cores,
       (SELECT count(*) FROM os.task_lease l WHERE l.worker_id = w.worker_id) AS tasks,
       round(max(w.memory) / 1048576.0) AS memory_mib, count(*) AS buckets,
       round(extract(epoch FROM min(w.lease_until) - now())) AS lease_s
  FROM os.worker w
 WHERE $1::bool OR w.status NOT IN ('left', 'dead')
 GROUP BY w.worker_id
 ORDER BY w.worker_id
