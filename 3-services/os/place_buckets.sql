-- The embedded engine says where its buckets lie; a start with another number of partitions moves them.
UPDATE os.partition_map AS m SET partition = b.partition
  FROM tuplix.buckets b
 WHERE b.bucket = m.bucket AND b.partition <> m.partition
