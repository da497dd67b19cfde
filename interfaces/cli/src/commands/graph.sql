-- Graph $2, which stands in bucket $1, with how many of its tasks run now.
SELECT g.name, g.state, g.tasks, g.done, g.failed, g.cancelled,
       (SELECT count(*) FROM os.task t WHERE t.p_key = g.p_key AND t.graph_id = g.graph_id AND t.state = 'running') AS running,
       (extract(epoch FROM coalesce(g.finished_at, now()) - g.submitted_at) * 1000)::bigint AS elapsed_ms
  FROM os.graph g
 WHERE g.p_key = $1 AND g.graph_id = $2
