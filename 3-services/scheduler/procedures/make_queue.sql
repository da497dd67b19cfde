-- Makes a queue with limits in a bucket, or changes one. concurrency: how many of its tasks have a worker at a time; rate: how many begin in
-- rate_ms; queued_max: how many wait; null: any number. priority: before or behind other queues; weight: its share among those of its priority.
CREATE OR REPLACE FUNCTION os.make_queue(
    p int, queue_name text, concurrency int DEFAULT NULL, rate int DEFAULT NULL, rate_ms int DEFAULT 1000, priority int DEFAULT 0,
    weight int DEFAULT 1, queued_max int DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_variable
BEGIN
    PERFORM pg_advisory_xact_lock(7301, p);
    IF p NOT BETWEEN 0 AND 63 THEN
        RAISE EXCEPTION 'there is no bucket %', p USING ERRCODE = 'TXO01', HINT = 'Buckets are 0 to 63.';
    END IF;
    IF coalesce(length(queue_name), 0) NOT BETWEEN 1 AND 200 OR concurrency < 1 OR rate < 1 OR coalesce(rate_ms, 0) < 1 OR queued_max < 0
       OR coalesce(priority, 1000001) NOT BETWEEN -1000000 AND 1000000 OR coalesce(weight, 0) NOT BETWEEN 1 AND 1000000 THEN
        RAISE EXCEPTION 'invalid queue "%"', queue_name
            USING ERRCODE = 'TXS07', HINT = 'A name of 1 to 200 characters, limits of 1 or more, a weight of 1 to 1000000.';
    END IF;
    INSERT INTO os.queue AS q (p_key, queue, concurrency, rate, rate_ms, priority, weight, queued_max)
    VALUES (p, queue_name, concurrency, rate, rate_ms, priority, weight, queued_max)
        ON CONFLICT (p_key, queue) DO UPDATE
       SET concurrency = EXCLUDED.concurrency, rate = EXCLUDED.rate, rate_ms = EXCLUDED.rate_ms, priority = EXCLUDED.priority,
           weight = EXCLUDED.weight, queued_max = EXCLUDED.queued_max;
    PERFORM os.drain_queue(p);
    PERFORM pg_notify('os_timer', p::text);
END
$$;
