-- Whether place_gang would place a gang if the workers of its bucket ran nothing else; named resources are looked at by their sums.
-- Internal.
CREATE OR REPLACE FUNCTION os.gang_fits_empty(p int, graph bigint) RETURNS bool
LANGUAGE plpgsql AS $$
DECLARE
    workers bigint[] := ARRAY(SELECT w.worker_id FROM os.worker w WHERE w.p_key = p AND w.status = 'up' ORDER BY w.worker_id);
    cores_left int[] := ARRAY(SELECT w.capacity FROM os.worker w WHERE w.p_key = p AND w.status = 'up' ORDER BY w.worker_id);
    memory_left bigint[] := ARRAY(SELECT w.memory FROM os.worker w WHERE w.p_key = p AND w.status = 'up' ORDER BY w.worker_id);
    members bigint[] := ARRAY(SELECT m FROM os.gang_members(p, graph) m);
    member record;
    place int;
BEGIN
    FOR member IN SELECT s.cores, s.memory FROM os.task_spec s WHERE s.p_key = p AND s.task_id = ANY (members)
                   ORDER BY s.cores DESC, s.memory DESC, s.task_id
    LOOP
        place := 1;
        WHILE place <= cardinality(workers) AND (cores_left[place] < member.cores OR memory_left[place] < member.memory) LOOP
            place := place + 1;
        END LOOP;
        IF place > cardinality(workers) THEN
            RETURN false;
        END IF;
        cores_left[place] := cores_left[place] - member.cores;
        memory_left[place] := memory_left[place] - member.memory;
    END LOOP;
    PERFORM 1 FROM (SELECT n.key, sum(n.value::bigint) AS asked FROM os.task_spec s, jsonb_each_text(s.options -> 'resources') n
                     WHERE s.p_key = p AND s.task_id = ANY (members) GROUP BY n.key) a
      WHERE a.asked > coalesce((SELECT sum(r.amount) FROM os.worker_resource r
                                 WHERE r.p_key = p AND r.resource = a.key AND r.worker_id = ANY (workers)), 0);
    RETURN NOT FOUND;
END
$$;
