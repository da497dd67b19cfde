-- Whether the workers of a bucket could run a task, or a gang at once, if they ran nothing else. Internal.
CREATE OR REPLACE FUNCTION os.fits_empty(p int, task bigint, need_cores int, need_memory bigint) RETURNS bool
LANGUAGE plpgsql AS $$
DECLARE
    asked jsonb;
BEGIN
    SELECT s.options INTO asked FROM os.task_spec s WHERE s.p_key = p AND s.task_id = task;
    IF asked ? 'gang' THEN
        RETURN os.gang_fits_empty(p, (asked ->> 'gang')::bigint);
    END IF;
    PERFORM 1 FROM os.worker w
      WHERE w.p_key = p AND w.status = 'up' AND w.capacity >= need_cores AND w.memory >= need_memory
        AND (asked -> 'resources' IS NULL OR NOT EXISTS (
             SELECT 1 FROM jsonb_each_text(asked -> 'resources') n
               LEFT JOIN os.worker_resource r ON r.p_key = p AND r.worker_id = w.worker_id AND r.resource = n.key
              WHERE coalesce(r.amount, 0) < n.value::bigint));
    RETURN FOUND;
END
$$;
