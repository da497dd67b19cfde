-- Once all tasks of a gang that are not over wait in the queue and none is paused, the first of them stands there for all; until then
-- none can be placed. Internal; a drain follows.
CREATE OR REPLACE FUNCTION os.gather_gang(p int, graph bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    members bigint[] := ARRAY(SELECT m FROM os.gang_members(p, graph) m);
    ready int;
BEGIN
    SELECT count(*) INTO ready FROM os.task_queue q JOIN os.task_spec s ON s.p_key = p AND s.task_id = q.task_id
     WHERE q.p_key = p AND q.task_id = ANY (members) AND NOT s.options @> '{"paused": true}';
    UPDATE os.task_queue q SET parked = true, why = 'gang' WHERE q.p_key = p AND q.task_id = ANY (members);
    IF ready = cardinality(members) AND ready > 0 THEN
        UPDATE os.task_queue q SET parked = false, why = NULL, policy = '#gang', resources = '{}'
         WHERE q.p_key = p AND q.task_id = members[1];
    END IF;
END
$$;
