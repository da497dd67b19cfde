-- Each row is something wrong: the invariant's name and what breaks it.

SELECT 'partition_map_covers_buckets' AS name, format('bucket %s has no row', bucket) AS detail
  FROM generate_series(0, 63) bucket
 WHERE NOT EXISTS (SELECT 1 FROM os.partition_map m WHERE m.bucket = bucket.bucket)

UNION ALL

SELECT 'counter_in_bucket', format('counter %s stands in bucket %s', kind, p_key)
  FROM os.counter
 WHERE p_key NOT BETWEEN 0 AND 63
