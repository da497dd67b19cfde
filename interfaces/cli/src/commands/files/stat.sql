-- What is known of $2, which stands in bucket $1; $3: its mode in letters.
SELECT $2::text AS path, file_id AS file, kind, f_size AS size, block_size, version, $3::text AS mode, f_owner AS owner, links,
       created_at AS created, modified_at AS modified, writer, writer_task_id AS written_by_task
  FROM os.stat_file($1::int, $2::text)
