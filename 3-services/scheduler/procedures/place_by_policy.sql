-- Lets a policy that is not one of the paper's choose a worker; '@NAME' is whatever the class NAME has now. A policy that fails, that
-- somebody dropped, or that leaves named resources out does not stop the queue: first_fit places its task, and the task says so. Internal.
CREATE OR REPLACE FUNCTION os.place_by_policy(p int, task bigint, need_cores int, need_memory bigint, by_policy text)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    policy text := by_policy;
    asked jsonb;
    worker bigint;
BEGIN
    IF policy = '#gang' THEN
        SELECT w INTO worker FROM os.place_gang(p, task) w;
        RETURN worker;
    END IF;
    SELECT s.options INTO asked FROM os.task_spec s WHERE s.p_key = p AND s.task_id = task;
    IF policy LIKE '@%' THEN
        policy := os.queue_policy(coalesce((SELECT c.policy FROM os.task_class c WHERE c.class = substr(by_policy, 2)), 'first_fit'),
                                  asked - 'class');
    END IF;
    BEGIN
        EXECUTE format('SELECT w FROM os.%I($1, $2, $3, $4) w', 'schedule_' || policy)
           INTO worker USING p, task, need_cores, need_memory;
    EXCEPTION WHEN OTHERS THEN
        -- Conflicts and a lack of memory are not the policy's.
        IF left(SQLSTATE, 2) IN ('40', '53', '57') THEN
            RAISE;
        END IF;
        SELECT w INTO worker FROM os.schedule_first_fit(p, task, need_cores, need_memory, format('first_fit: policy %s failed: %s', policy, SQLERRM)) w;
        RETURN worker;
    END;
    IF worker IS NOT NULL AND asked ? 'resources' THEN
        PERFORM 1 FROM os.task_lease l WHERE l.p_key = p AND l.task_id = task AND l.more ? 'resources';
        IF NOT FOUND THEN
            PERFORM os.release_lease(p, task);
            SELECT w INTO worker
              FROM os.schedule_first_fit(p, task, need_cores, need_memory, format('first_fit: policy %s leaves resources out', policy)) w;
            IF worker IS NULL THEN
                UPDATE os.task t SET state = 'queued', worker_id = NULL WHERE t.p_key = p AND t.task_id = task;
            END IF;
        END IF;
    END IF;
    RETURN worker;
END
$$;
