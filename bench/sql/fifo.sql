-- The papers' FIFO scheduler (VLDB 2022, section 4.2, figure 2). One text for both engines.
-- FOR UPDATE is ours: as printed, the procedure loses updates on PostgreSQL.
CREATE TABLE worker (
    p_key integer NOT NULL,
    worker_id integer NOT NULL,
    unused_capacity integer NOT NULL,
    PRIMARY KEY (p_key, worker_id)
);
CREATE TABLE task (
    p_key integer NOT NULL,
    task_id bigint NOT NULL,
    worker_id integer,
    PRIMARY KEY (p_key, task_id)
);
SELECT create_distributed_table('worker', 'p_key');
SELECT create_distributed_table('task', 'p_key');

CREATE FUNCTION schedule_simple(p integer, tid bigint) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    wid integer;
    uc integer;
BEGIN
    SELECT worker_id, unused_capacity INTO wid, uc FROM worker
        WHERE unused_capacity > 0 AND p_key = p
        LIMIT 1 FOR UPDATE;
    IF FOUND THEN
        UPDATE worker SET unused_capacity = uc - 1 WHERE worker_id = wid AND p_key = p;
        INSERT INTO task VALUES (p, tid, wid);
        RETURN wid;
    END IF;
    RETURN NULL;
END $$;
SELECT create_distributed_function('schedule_simple(integer,bigint)', 'p');
