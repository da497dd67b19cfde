-- Queues a task by what its specification says. Internal; a drain follows.
CREATE OR REPLACE FUNCTION os.make_runnable(p int, task bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    spec record;
BEGIN
    SELECT s.cores, s.memory, s.policy, s.priority INTO spec FROM os.task_spec s WHERE s.p_key = p AND s.task_id = task;
    PERFORM os.enqueue_task(p, task, coalesce(spec.cores, 1), coalesce(spec.memory, 0), coalesce(spec.policy, 'fifo'),
                            coalesce(spec.priority, 0));
END
$$;
