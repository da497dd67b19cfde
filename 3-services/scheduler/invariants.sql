-- Each row is something wrong: the invariant's name and what breaks it.

SELECT 'capacity_is_exact' AS name,
       format('worker %s in bucket %s: %s cores unused + %s held is not %s; %s bytes unused + %s held is not %s', w.worker_id, w.p_key,
              w.unused_capacity, held.cores, w.capacity, w.unused_memory, held.memory, w.memory) AS detail
  FROM os.worker w
  JOIN (SELECT x.p_key, x.worker_id, coalesce(sum(l.cores), 0) AS cores, coalesce(sum(l.memory), 0) AS memory
          FROM os.worker x LEFT JOIN os.task_lease l ON l.p_key = x.p_key AND l.worker_id = x.worker_id
         GROUP BY x.p_key, x.worker_id) held ON held.p_key = w.p_key AND held.worker_id = w.worker_id
 WHERE w.unused_capacity + held.cores <> w.capacity OR w.unused_memory + held.memory <> w.memory

UNION ALL

SELECT 'lease_matches_task', format('task %s is %s at worker %s, attempt %s; its lease is of worker %s, attempt %s',
                                    coalesce(t.task_id, l.task_id), t.state, t.worker_id, t.attempt, l.worker_id, l.attempt)
  FROM os.task t FULL JOIN os.task_lease l ON l.p_key = t.p_key AND l.task_id = t.task_id
 WHERE (t.state IN ('assigned', 'running', 'cancelling')) IS DISTINCT FROM (l.task_id IS NOT NULL)
    OR l.worker_id IS DISTINCT FROM CASE WHEN l.task_id IS NOT NULL THEN t.worker_id END
    OR (l.attempt > 0 AND (l.attempt <> t.attempt OR t.state = 'assigned' OR l.lease_until IS NULL))
    OR (l.attempt = 0 AND t.state <> 'assigned')

UNION ALL

SELECT 'lease_has_worker', format('task %s is held by worker %s, which is %s', l.task_id, l.worker_id, coalesce(w.status, 'unknown'))
  FROM os.task_lease l LEFT JOIN os.worker w ON w.p_key = l.p_key AND w.worker_id = l.worker_id
 WHERE w.status IS NULL OR w.status NOT IN ('up', 'draining', 'closed', 'closed_by_machine')

UNION ALL

SELECT 'queue_matches_task', format('task %s is %s, and %s the queue', coalesce(t.task_id, q.task_id), t.state,
                                    CASE WHEN q.task_id IS NULL THEN 'not in' ELSE 'in' END)
  FROM os.task t
  FULL JOIN (SELECT p_key, task_id FROM os.task_queue UNION ALL SELECT p_key, task_id FROM os.queue_task) q
    ON q.p_key = t.p_key AND q.task_id = t.task_id
 WHERE coalesce(t.state = 'queued', false) <> (q.task_id IS NOT NULL)

UNION ALL

SELECT 'queued_once', format('task %s stands in two queues', a.task_id)
  FROM os.task_queue a JOIN os.queue_task b ON b.p_key = a.p_key AND b.task_id = a.task_id

UNION ALL

SELECT 'queue_counts_tasks', format('queue %s in bucket %s says %s wait and %s run of %s; there are %s and %s', q.queue, q.p_key, q.waiting, q.running,
                                    coalesce(q.concurrency::text, 'any number'), coalesce(w.tasks, 0), coalesce(r.tasks, 0))
  FROM os.queue q
  LEFT JOIN (SELECT t.p_key, t.queue, count(*) AS tasks FROM os.queue_task t GROUP BY t.p_key, t.queue) w
    ON w.p_key = q.p_key AND w.queue = q.queue
  LEFT JOIN (SELECT l.p_key, l.more ->> 'queue' AS queue, count(*) AS tasks FROM os.task_lease l WHERE l.more ? 'queue' GROUP BY 1, 2) r
    ON r.p_key = q.p_key AND r.queue = q.queue
 WHERE q.waiting <> coalesce(w.tasks, 0) OR q.running <> coalesce(r.tasks, 0)

UNION ALL

SELECT 'queue_exists', format('task %s waits in queue %s, which bucket %s has not', t.task_id, t.queue, t.p_key)
  FROM os.queue_task t LEFT JOIN os.queue q ON q.p_key = t.p_key AND q.queue = t.queue
 WHERE q.queue IS NULL

UNION ALL

SELECT 'resources_are_exact', format('worker %s in bucket %s: %s %s unused + %s held is not %s', r.worker_id, r.p_key, r.unused, r.resource,
                                     coalesce(h.held, 0), r.amount)
  FROM os.worker_resource r
  LEFT JOIN (SELECT l.p_key, l.worker_id, n.key AS resource, sum(n.value::bigint) AS held
               FROM os.task_lease l, jsonb_each_text(l.more -> 'resources') n GROUP BY 1, 2, 3) h
    ON h.p_key = r.p_key AND h.worker_id = r.worker_id AND h.resource = r.resource
 WHERE r.unused + coalesce(h.held, 0) <> r.amount

UNION ALL

SELECT 'resources_are_held', format('task %s runs without the resources that it asked for', l.task_id)
  FROM os.task_lease l JOIN os.task_spec s ON s.p_key = l.p_key AND s.task_id = l.task_id
 WHERE (s.options -> 'resources') IS DISTINCT FROM (l.more -> 'resources')

UNION ALL

SELECT 'gang_is_whole', format('of gang %s %s tasks have a worker and %s have not', t.graph_id, count(*) FILTER (WHERE t.worker_id IS NOT NULL),
                               count(*) FILTER (WHERE t.worker_id IS NULL))
  FROM os.task t JOIN os.graph g ON g.p_key = t.p_key AND g.graph_id = t.graph_id AND g.gang
 WHERE t.state IN ('queued', 'delayed', 'assigned', 'running')
 GROUP BY t.p_key, t.graph_id
HAVING count(*) FILTER (WHERE t.state IN ('assigned', 'running')) > 0 AND count(*) FILTER (WHERE t.state IN ('queued', 'delayed')) > 0

UNION ALL

SELECT 'key_has_task', format('key %s of bucket %s stands for %s, which is not there', k.key, k.p_key, k.id)
  FROM os.submitted_key k
 WHERE NOT EXISTS (SELECT 1 FROM os.task t WHERE t.p_key = k.p_key AND t.task_id = k.id)
   AND NOT EXISTS (SELECT 1 FROM os.graph g WHERE g.p_key = k.p_key AND g.graph_id = k.id)

UNION ALL

SELECT 'spawned_has_task', format('task %s, spawned by task %s, is not there', s.task_id, s.parent_id)
  FROM os.spawned_task s LEFT JOIN os.task t ON t.p_key = s.p_key AND t.task_id = s.task_id
 WHERE t.task_id IS NULL AND s.graph_id IS NOT NULL

UNION ALL

SELECT 'timer_matches_task', format('task %s is %s, and %s a timer', coalesce(t.task_id, d.task_id), t.state,
                                    CASE WHEN d.task_id IS NULL THEN 'has not' ELSE 'has' END)
  FROM os.task t FULL JOIN os.task_timer d ON d.p_key = t.p_key AND d.task_id = t.task_id
 WHERE coalesce(t.state = 'delayed', false) <> (d.task_id IS NOT NULL)

UNION ALL

SELECT 'spec_has_task', format('the specification of task %s has no task', s.task_id)
  FROM os.task_spec s LEFT JOIN os.task t ON t.p_key = s.p_key AND t.task_id = s.task_id
 WHERE t.task_id IS NULL

UNION ALL

SELECT 'result_has_task', format('the result of attempt %s of task %s has no such attempt', r.attempt, r.task_id)
  FROM os.task_result r LEFT JOIN os.task t ON t.p_key = r.p_key AND t.task_id = r.task_id
 WHERE t.task_id IS NULL OR r.attempt > t.attempt

UNION ALL

SELECT 'done_once', format('task %s has %s attempts that are done', r.task_id, count(*))
  FROM os.task_result r
 WHERE r.outcome = 'done'
 GROUP BY r.p_key, r.task_id HAVING count(*) > 1

UNION ALL

SELECT 'dependency_has_tasks', format('task %s needs task %s: one of them is missing', d.task_id, d.needs_id)
  FROM os.task_dependency d
  LEFT JOIN os.task t ON t.p_key = d.p_key AND t.task_id = d.task_id
  LEFT JOIN os.task n ON n.p_key = d.p_key AND n.task_id = d.needs_id
 WHERE t.task_id IS NULL OR n.task_id IS NULL

UNION ALL

SELECT 'waiting_counts_needs', format('task %s is %s and waits for %s tasks; %s of its needs are not done', t.task_id, t.state,
                                      t.waiting_for, open.needs)
  FROM os.task t
  JOIN (SELECT x.p_key, x.task_id, count(n.task_id) AS needs
          FROM os.task x
          LEFT JOIN os.task_dependency d ON d.p_key = x.p_key AND d.task_id = x.task_id
          LEFT JOIN os.task n ON n.p_key = d.p_key AND n.task_id = d.needs_id AND n.state <> 'done'
         GROUP BY x.p_key, x.task_id) open ON open.p_key = t.p_key AND open.task_id = t.task_id
 WHERE (t.state = 'waiting' AND (t.waiting_for <> open.needs OR open.needs = 0))
    OR (t.state IN ('queued', 'delayed', 'assigned', 'running', 'cancelling', 'done') AND open.needs > 0)

UNION ALL

SELECT 'graph_counts_tasks', format('graph %s says %s done, %s failed, %s cancelled of %s and is %s; its tasks say %s, %s, %s of %s',
                                    g.graph_id, g.done, g.failed, g.cancelled, g.tasks, g.state, x.done, x.failed, x.cancelled, x.tasks)
  FROM os.graph g
  JOIN (SELECT y.p_key, y.graph_id, count(t.task_id) AS tasks, count(*) FILTER (WHERE t.state = 'done') AS done,
               count(*) FILTER (WHERE t.state = 'failed') AS failed, count(*) FILTER (WHERE t.state = 'cancelled') AS cancelled
          FROM os.graph y LEFT JOIN os.task t ON t.p_key = y.p_key AND t.graph_id = y.graph_id
         GROUP BY y.p_key, y.graph_id) x ON x.p_key = g.p_key AND x.graph_id = g.graph_id
 WHERE g.tasks <> x.tasks OR g.done <> x.done OR g.failed <> x.failed OR g.cancelled <> x.cancelled
    OR (g.state = 'running') <> (g.done + g.failed + g.cancelled < g.tasks)

UNION ALL

SELECT 'counter_ahead_of_ids', format('bucket %s: the counter is at %s, a task has identifier %s', t.p_key, c.last, t.task_id)
  FROM (SELECT s.p_key, max(s.task_id) AS task_id FROM os.task_spec s GROUP BY s.p_key) t
  LEFT JOIN os.counter c ON c.p_key = t.p_key AND c.kind = 'task'
 WHERE c.last IS NULL OR t.task_id > c.last * 64 + t.p_key

UNION ALL

SELECT 'id_carries_bucket', format('task %s stands in bucket %s', t.task_id, t.p_key)
  FROM os.task t
 WHERE t.p_key <> os.bucket(t.task_id)
