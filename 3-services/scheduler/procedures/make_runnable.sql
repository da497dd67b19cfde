-- Queues a task by what its specification says; one that has to wait for a time is delayed. Internal; a drain follows.
CREATE OR REPLACE FUNCTION os.make_runnable(p int, task bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    spec record;
BEGIN
    SELECT s.cores, s.memory, s.policy, s.priority, s.owner, s.options INTO spec FROM os.task_spec s WHERE s.p_key = p AND s.task_id = task;
    IF spec.options IS NOT NULL OR spec.policy = 'fair' THEN
        PERFORM os.make_runnable_with(p, task, spec.cores, spec.memory, spec.policy, spec.priority, spec.owner, coalesce(spec.options, '{}'));
    ELSE
        PERFORM os.enqueue_task(p, task, coalesce(spec.cores, 1), coalesce(spec.memory, 0), coalesce(spec.policy, 'fifo'),
                                coalesce(spec.priority, 0));
    END IF;
END
$$;
