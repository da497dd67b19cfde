-- The policy under which a task with options waits: '@NAME' for a class, and for named resources one that knows them. Internal.
CREATE OR REPLACE FUNCTION os.queue_policy(policy text, options jsonb) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN options ? 'class' THEN '@' || (options ->> 'class')
                WHEN options ? 'resources' AND policy IN ('fifo', 'locality') THEN 'first_fit'
                WHEN options ? 'resources' AND policy = 'least_loaded' THEN 'worst_fit'
                WHEN policy = 'locality' THEN 'fifo'
                ELSE policy END
$$;
