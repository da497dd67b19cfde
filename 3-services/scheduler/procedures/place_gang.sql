-- Places all tasks of a gang that are not over, or none: each on the first worker with room, large ones first. Called for the first of
-- them, which stands in the queue for all. Two gangs cannot wait for each other: a bucket's scheduler is serial, and nobody keeps a part. Internal.
CREATE OR REPLACE FUNCTION os.place_gang(p int, task bigint)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    graph bigint;
    member record;
    worker bigint;
    leader_worker bigint;
BEGIN
    SELECT (s.options ->> 'gang')::bigint INTO graph FROM os.task_spec s WHERE s.p_key = p AND s.task_id = task;
    BEGIN
        FOR member IN SELECT s.task_id, s.cores, s.memory FROM os.gang_members(p, graph) m
                        JOIN os.task_spec s ON s.p_key = p AND s.task_id = m
                       ORDER BY s.cores DESC, s.memory DESC, s.task_id
        LOOP
            SELECT w INTO worker FROM os.schedule_first_fit(p, member.task_id, member.cores, member.memory, 'gang') w;
            IF worker IS NULL THEN
                RAISE EXCEPTION 'no room' USING ERRCODE = 'TXS12';
            END IF;
            IF member.task_id = task THEN
                leader_worker := worker;
            ELSE
                DELETE FROM os.task_queue q WHERE q.p_key = p AND q.task_id = member.task_id;
                PERFORM pg_notify('os_worker_' || worker, p::text);
            END IF;
        END LOOP;
    EXCEPTION WHEN SQLSTATE 'TXS12' THEN
        RETURN NULL;
    END;
    RETURN leader_worker;
END
$$;
