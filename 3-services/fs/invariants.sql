-- Each row is something wrong: the invariant's name and what breaks it.

SELECT 'entry_points_to_file' AS name,
       format('"%s" in directory %s points to %s, which %s', e.d_name, e.directory_id, e.file_id,
              CASE WHEN f.file_id IS NULL THEN 'is missing' ELSE 'is a ' || f.kind || ', not a ' || e.kind END) AS detail
  FROM os.directory e LEFT JOIN os.file f ON f.p_key = os.bucket(e.file_id) AND f.file_id = e.file_id
 WHERE f.file_id IS NULL OR f.kind <> e.kind

UNION ALL

SELECT 'entry_stands_in_directory', format('"%s" stands in %s, which is no directory', e.d_name, e.directory_id)
  FROM os.directory e LEFT JOIN os.file f ON f.p_key = e.p_key AND f.file_id = e.directory_id AND f.kind = 'directory'
 WHERE f.file_id IS NULL

UNION ALL

SELECT 'directory_counts_entries', format('directory %s says it has %s entries, and has %s', f.file_id, f.entries, x.entries)
  FROM os.file f
  JOIN (SELECT y.p_key, y.file_id, count(e.d_name) AS entries
          FROM os.file y LEFT JOIN os.directory e ON e.p_key = y.p_key AND e.directory_id = y.file_id
         GROUP BY y.p_key, y.file_id) x ON x.p_key = f.p_key AND x.file_id = f.file_id
 WHERE f.entries <> x.entries

UNION ALL

SELECT 'links_count_names', format('%s %s says it has %s names, and has %s', f.kind, f.file_id, f.links, x.names)
  FROM os.file f
  JOIN (SELECT y.p_key, y.file_id, count(e.d_name) AS names
          FROM os.file y LEFT JOIN os.directory e ON e.p_key = y.p_key AND e.file_id = y.file_id
         GROUP BY y.p_key, y.file_id) x ON x.p_key = f.p_key AND x.file_id = f.file_id
 WHERE f.links <> x.names AND f.file_id > 63

UNION ALL

SELECT 'parent_holds_directory', format('directory %s says its parent is %s, which has no entry for it', f.file_id, f.parent_id)
  FROM os.file f LEFT JOIN os.directory e ON e.p_key = f.p_key AND e.directory_id = f.parent_id AND e.file_id = f.file_id
 WHERE f.kind = 'directory' AND f.file_id > 63 AND e.d_name IS NULL

UNION ALL

SELECT 'block_belongs_to_file', format('block %s of file %s has %s bytes; the file %s', b.block_no, b.file_id, length(b.bytes),
                                       CASE WHEN f.file_id IS NULL THEN 'is missing'
                                            ELSE format('has %s bytes in blocks of %s', f.f_size, f.block_size) END)
  FROM os.file_block b LEFT JOIN os.file f ON f.p_key = b.p_key AND f.file_id = b.file_id AND f.kind = 'file'
 WHERE f.file_id IS NULL OR b.block_no * f.block_size + length(b.bytes) > f.f_size OR length(b.bytes) > f.block_size

UNION ALL

SELECT 'file_counter_ahead_of_ids', format('bucket %s: the counter is at %s, a file has identifier %s', f.p_key, c.last, f.file_id)
  FROM (SELECT x.p_key, max(x.file_id) AS file_id FROM os.file x WHERE x.file_id > 63 GROUP BY x.p_key) f
  LEFT JOIN os.counter c ON c.p_key = f.p_key AND c.kind = 'file'
 WHERE c.last IS NULL OR f.file_id > c.last * 64 + f.p_key

UNION ALL

SELECT 'file_in_bucket', format('file %s stands in bucket %s', f.file_id, f.p_key)
  FROM os.file f
 WHERE f.p_key <> os.bucket(f.file_id)
