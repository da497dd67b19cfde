-- The queue with limits in which a task waits; null: the bucket's own. Internal.
CREATE OR REPLACE FUNCTION os.queue_name(owner text, policy text, options jsonb) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN options ? 'queue' THEN options ->> 'queue'
                WHEN policy <> 'fair' AND coalesce((SELECT c.policy FROM os.task_class c WHERE c.class = options ->> 'class'), '') <> 'fair'
                    THEN NULL
                WHEN options ? 'group' THEN 'group:' || (options ->> 'group')
                ELSE 'user:' || owner END
$$;
