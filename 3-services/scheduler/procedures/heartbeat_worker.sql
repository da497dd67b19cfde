-- A worker lives: its lease and those of its running tasks are renewed; until when.
CREATE OR REPLACE FUNCTION os.heartbeat_worker(p int, worker bigint) RETURNS timestamptz
LANGUAGE plpgsql AS $$
DECLARE
    until timestamptz;
BEGIN
    PERFORM pg_advisory_xact_lock(7301, p);
    until := os.renew_worker(p, worker);
    UPDATE os.task_lease l SET lease_until = until WHERE l.p_key = p AND l.worker_id = worker AND l.attempt > 0;
    RETURN until;
END
$$;
