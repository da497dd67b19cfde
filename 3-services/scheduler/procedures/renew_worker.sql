-- Renews a worker's lease; until when it holds. Refuses a worker that is not there. Internal.
CREATE OR REPLACE FUNCTION os.renew_worker(p int, worker bigint) RETURNS timestamptz
LANGUAGE plpgsql AS $$
DECLARE
    until timestamptz;
    lease int;
BEGIN
    SELECT w.lease_ms INTO lease FROM os.worker w
     WHERE w.p_key = p AND w.worker_id = worker AND w.status IN ('up', 'draining', 'closed', 'closed_by_machine') FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'worker % does not work in bucket %', worker, p
            USING ERRCODE = 'TXS03', DETAIL = coalesce((SELECT format('It is %s.', w.status) FROM os.worker w
                                                         WHERE w.p_key = p AND w.worker_id = worker), 'It never joined.'),
                  HINT = 'End the tasks that it still runs, then join again.';
    END IF;
    until := now() + make_interval(secs => lease / 1000.0);
    UPDATE os.worker w SET lease_until = until WHERE w.p_key = p AND w.worker_id = worker;
    RETURN until;
END
$$;
