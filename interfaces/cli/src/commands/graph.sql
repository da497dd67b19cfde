-- Graph $2, which stands in bucket $1, with how many of its tasks run now. Its tasks' numbers follow each other, and only
-- tasks that run have a lease with an attempt: nothing here grows with the graph.
SELECT g.name, g.state, g.tasks, g.done, g.failed, g.cancelled,
       (SELECT count(*) FROM os.task_lease l
         WHERE l.p_key = g.p_key AND l.attempt > 0
           AND l.task_id BETWEEN g.first_task_id AND g.first_task_id + (g.tasks - 1) * 64::bigint) AS running,
       (extract(epoch FROM coalesce(g.finished_at, now()) - g.submitted_at) * 1000)::bigint AS elapsed_ms,
       g.first_task_id
  FROM os.graph g
 WHERE g.p_key = $1 AND g.graph_id = $2
