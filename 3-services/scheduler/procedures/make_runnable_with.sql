-- make_runnable for a task that has options. Internal.
CREATE OR REPLACE FUNCTION os.make_runnable_with(
    p int, task bigint, need_cores int, need_memory bigint, by_policy text, prior int, by_owner text, options jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    in_queue text := os.queue_name(by_owner, by_policy, options);
    parked_why text := CASE WHEN options ? 'gang' THEN 'gang' WHEN options @> '{"paused": true}' THEN 'paused' END;
BEGIN
    IF (options ->> 'start_at')::timestamptz > now() THEN
        PERFORM os.delay_task(p, task, (options ->> 'start_at')::timestamptz);
    ELSIF in_queue IS NOT NULL THEN
        PERFORM os.enqueue_in_queue(p, task, in_queue, prior, parked_why);
    ELSE
        PERFORM os.enqueue_task(p, task, need_cores, need_memory, os.queue_policy(by_policy, options), prior, options -> 'resources', parked_why);
    END IF;
    IF options ? 'gang' THEN
        PERFORM os.gather_gang(p, (options ->> 'gang')::bigint);
    END IF;
END
$$;
