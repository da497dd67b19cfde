-- Gives back what a task holds beside cores and memory: named resources, and its place in its queue, which it has had for as long as it
-- ran. Internal.
CREATE OR REPLACE FUNCTION os.release_more(p int, task bigint, worker bigint, held_cores int, more jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    ran_ms bigint;
BEGIN
    IF more ? 'resources' THEN
        UPDATE os.worker_resource r SET unused = r.unused + n.value::bigint
          FROM jsonb_each_text(more -> 'resources') n
         WHERE r.p_key = p AND r.worker_id = worker AND r.resource = n.key;
    END IF;
    IF more ? 'queue' THEN
        SELECT coalesce(extract(epoch FROM now() - t.started_at) * 1000, 0)::bigint INTO ran_ms
          FROM os.task t WHERE t.p_key = p AND t.task_id = task AND t.state <> 'assigned';
        UPDATE os.queue x
           SET running = x.running - 1, passed = x.passed + greatest(coalesce(ran_ms, 0), 0) * held_cores * 1000 / x.weight
         WHERE x.p_key = p AND x.queue = more ->> 'queue';
    END IF;
END
$$;
