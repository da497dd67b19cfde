-- One attempt lives: its lease is renewed; until when, and whether its process is to be ended.
CREATE OR REPLACE FUNCTION os.heartbeat_task(p int, task bigint, attempt_no int, OUT until timestamptz, OUT cancelling bool)
LANGUAGE plpgsql AS $$
DECLARE
    held record;
    lease int;
BEGIN
    SELECT * INTO held FROM os.check_attempt(p, task, attempt_no);
    SELECT w.lease_ms INTO lease FROM os.worker w WHERE w.p_key = p AND w.worker_id = held.worker;
    until := now() + make_interval(secs => coalesce(lease, 30000) / 1000.0);
    UPDATE os.task_lease l SET lease_until = until WHERE l.p_key = p AND l.task_id = task;
    cancelling := held.state = 'cancelling';
END
$$;
