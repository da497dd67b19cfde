-- Global least loaded: submits a task in a bucket of the worker that has most room, taken over all buckets; queued there when none has
-- any. Two statements over all buckets and one call of a bucket's own submit_task, which looks again: what took the room meanwhile makes the
-- task wait, and nothing is given twice.
CREATE OR REPLACE FUNCTION os.submit_anywhere(
    owner text, name text, program text, arguments text[] DEFAULT '{}', environment jsonb DEFAULT '{}', cores int DEFAULT 1,
    memory bigint DEFAULT 0, options jsonb DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
    chosen bigint;
    bucket int;
    task bigint;
BEGIN
    SELECT f.worker_id INTO chosen FROM os.free_workers() f
     WHERE f.cores_left >= cores AND f.memory_left >= memory ORDER BY f.cores_left DESC, f.worker_id LIMIT 1;
    SELECT w.p_key INTO bucket FROM os.worker w
     WHERE w.worker_id = chosen AND w.status = 'up' AND w.unused_capacity >= cores AND w.unused_memory >= memory
     ORDER BY w.unused_capacity DESC, w.p_key LIMIT 1;
    task := os.submit_task(coalesce(bucket, os.home(owner)), owner, name, program, arguments, environment, cores => cores, memory => memory,
                           policy => 'least_loaded', options => options);
    RETURN task;
END
$$;
