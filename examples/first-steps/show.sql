SELECT task_id, worker_id, state FROM demo.task WHERE p_key = 0 ORDER BY task_id;
SELECT worker_id, unused_capacity FROM demo.worker WHERE p_key = 0 ORDER BY worker_id;
