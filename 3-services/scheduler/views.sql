-- What people ask of the scheduler. Each view looks at all buckets, or at one with `WHERE p_key = ...`.

-- The policies that there are: what procedures os.schedule_NAME anybody has written, and the version of each: of its text.
CREATE OR REPLACE VIEW os.policy AS
SELECT substr(f.proname, 10) AS policy, 'os.' || f.proname AS procedure, 'md5:' || md5(f.prosrc) AS version
  FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
 WHERE n.nspname = 'os' AND f.proname LIKE 'schedule\_%';

-- Which policy gave a task to which worker, when, and how long it waited and ran.
CREATE OR REPLACE VIEW os.task_decision AS
SELECT t.p_key, t.task_id, s.policy, t.decided_at, t.worker_id, coalesce(t.decision, s.policy) AS decision,
       (extract(epoch FROM t.decided_at - t.submitted_at) * 1000)::bigint AS waited_ms,
       (extract(epoch FROM t.finished_at - t.started_at) * 1000)::bigint AS ran_ms
  FROM os.task t JOIN os.task_spec s ON s.p_key = t.p_key AND s.task_id = t.task_id
 WHERE t.decided_at IS NOT NULL;

-- Running tasks that have taken more than twice the median of three or more others like them that are done: of the same level and program
-- in their graph, or of the same owner and name.
CREATE OR REPLACE VIEW os.task_straggler AS
SELECT r.p_key, r.task_id, r.name, r.graph_id, r.worker_id, r.seconds AS running_s, d.median AS typical_s, r.seconds / d.median AS ratio
  FROM (SELECT t.p_key, t.task_id, s.name, t.graph_id, t.worker_id, extract(epoch FROM now() - t.started_at)::float8 AS seconds,
               CASE WHEN t.graph_id IS NULL THEN s.owner || ' ' || s.name ELSE t.graph_id || ' ' || s.level || ' ' || s.program END AS kin
          FROM os.task t JOIN os.task_spec s ON s.p_key = t.p_key AND s.task_id = t.task_id
         WHERE t.state = 'running') r
  JOIN (SELECT t.p_key, CASE WHEN t.graph_id IS NULL THEN s.owner || ' ' || s.name ELSE t.graph_id || ' ' || s.level || ' ' || s.program END AS kin,
               greatest(percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM t.finished_at - t.started_at)::float8), 0.001) AS median
          FROM os.task t JOIN os.task_spec s ON s.p_key = t.p_key AND s.task_id = t.task_id
         WHERE t.state = 'done' AND t.started_at IS NOT NULL
         GROUP BY 1, 2 HAVING count(*) >= 3) d ON d.p_key = r.p_key AND d.kin = r.kin
 WHERE r.seconds > 2 * d.median;

-- Each worker over all its buckets, to each of which it offers its capacity.
CREATE OR REPLACE VIEW os.worker_load AS
SELECT x.worker_id, x.buckets, x.host, x.machine, x.status, x.capacity, x.used, round(x.used::numeric / x.capacity, 3) AS utilisation,
       CASE WHEN x.used = 0 THEN 'idle' WHEN x.used >= x.capacity THEN 'over' ELSE 'normal' END AS load
  FROM (SELECT w.worker_id, count(*) AS buckets, max(w.host) AS host, max(w.machine) AS machine, max(w.status) AS status,
               max(w.capacity) AS capacity, sum(w.capacity - w.unused_capacity) AS used
          FROM os.worker w WHERE w.status IN ('up', 'draining', 'closed', 'closed_by_machine') GROUP BY w.worker_id) x;

-- Each bucket: what its workers offer, what is held, what waits.
CREATE OR REPLACE VIEW os.bucket_load AS
SELECT b.bucket AS p_key, coalesce(w.workers, 0) AS workers, coalesce(w.capacity, 0) AS capacity, coalesce(w.used, 0) AS used,
       coalesce(q.tasks, 0) + coalesce(n.tasks, 0) AS queued, coalesce(l.tasks, 0) AS running,
       round(w.used::numeric / nullif(w.capacity, 0), 3) AS utilisation
  FROM generate_series(0, 63) b (bucket)
  LEFT JOIN (SELECT p_key, count(*) AS workers, sum(capacity) AS capacity, sum(capacity - unused_capacity) AS used
               FROM os.worker WHERE status IN ('up', 'draining', 'closed', 'closed_by_machine') GROUP BY p_key) w ON w.p_key = b.bucket
  LEFT JOIN (SELECT p_key, count(*) AS tasks FROM os.task_queue GROUP BY p_key) q ON q.p_key = b.bucket
  LEFT JOIN (SELECT p_key, count(*) AS tasks FROM os.queue_task GROUP BY p_key) n ON n.p_key = b.bucket
  LEFT JOIN (SELECT p_key, count(*) AS tasks FROM os.task_lease WHERE attempt > 0 GROUP BY p_key) l ON l.p_key = b.bucket;
