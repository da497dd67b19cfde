-- A worker begins, or begins again, to serve a bucket; until when its lease holds. What it held before is lost.
CREATE OR REPLACE FUNCTION os.join_worker(p int, worker bigint, cores int, memory_bytes bigint, host_name text DEFAULT '',
                                          lease int DEFAULT 30000, machine_name text DEFAULT NULL, offers jsonb DEFAULT NULL)
RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
    new_status text := 'up';
    until timestamptz := now() + make_interval(secs => lease / 1000.0);
BEGIN
    PERFORM pg_advisory_xact_lock(7301, p);
    IF p NOT BETWEEN 0 AND 63 THEN
        RAISE EXCEPTION 'there is no bucket %', p USING ERRCODE = 'TXO01', HINT = 'Buckets are 0 to 63.';
    END IF;
    IF cores NOT BETWEEN 1 AND 1000000 OR memory_bytes < 0 OR lease <= 0 THEN
        RAISE EXCEPTION 'a worker needs 1 to 1000000 cores, memory of 0 or more and a lease' USING ERRCODE = 'TXS09';
    END IF;
    IF offers IS NOT NULL THEN
        PERFORM os.check_offers(offers);
    END IF;
    -- Closed by a user it stays closed, however often it begins anew.
    PERFORM 1 FROM os.worker w WHERE w.p_key = p AND w.worker_id = worker AND w.status = 'closed';
    IF FOUND THEN
        new_status := 'closed';
    ELSE
        PERFORM 1 FROM os.machine m WHERE m.machine = machine_name AND m.status = 'closed';
        IF FOUND THEN
            new_status := 'closed_by_machine';
        END IF;
    END IF;
    -- Dead first: the tasks that it held must not come back to it before it is new.
    UPDATE os.worker w SET status = 'dead' WHERE w.p_key = p AND w.worker_id = worker;
    IF FOUND THEN
        PERFORM os.lose_worker(p, worker, 'its worker began anew');
        UPDATE os.worker w
           SET unused_capacity = cores, capacity = cores, unused_memory = memory_bytes, memory = memory_bytes,
               status = new_status, lease_until = until, lease_ms = lease, host = host_name, joined_at = now(), machine = machine_name
         WHERE w.p_key = p AND w.worker_id = worker;
    ELSE
        INSERT INTO os.worker VALUES (p, worker, cores, cores, memory_bytes, memory_bytes, new_status, until, lease, host_name, now(), machine_name);
    END IF;
    DELETE FROM os.worker_resource r WHERE r.p_key = p AND r.worker_id = worker;
    INSERT INTO os.worker_resource (p_key, worker_id, resource, amount, unused)
    SELECT p, worker, o.key, o.value::bigint, o.value::bigint FROM jsonb_each_text(offers) o;
    PERFORM os.unpark_tasks(p);
    PERFORM os.drain_queue(p);
    RETURN until;
END
$$;
