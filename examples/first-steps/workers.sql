-- Three workers in bucket 0; five places in all.
INSERT INTO demo.worker (p_key, worker_id, unused_capacity) VALUES (0, 1, 2), (0, 2, 2), (0, 3, 1);
