-- Everything below directory $2, which stands in bucket $1.
SELECT f_name || CASE kind WHEN 'directory' THEN '/' ELSE '' END AS name, f_size AS size, version, f_owner AS owner,
       date_trunc('second', modified_at) AS modified, writer_task_id AS written_by_task
  FROM os.list_tree($1::int, $2::text)
 ORDER BY f_name
