-- YCSB's table (Cooper et al., SoCC 2010): ten fields of 100 bytes. A key's bucket is key mod 64. One text for both engines.
CREATE TABLE usertable (
    p_key integer NOT NULL,
    ycsb_key bigint NOT NULL,
    field0 text NOT NULL, field1 text NOT NULL, field2 text NOT NULL, field3 text NOT NULL, field4 text NOT NULL,
    field5 text NOT NULL, field6 text NOT NULL, field7 text NOT NULL, field8 text NOT NULL, field9 text NOT NULL,
    PRIMARY KEY (p_key, ycsb_key)
);
-- Always empty: reading all of it takes the latch of every partition.
CREATE TABLE everywhere (p_key integer NOT NULL, PRIMARY KEY (p_key));
SELECT create_distributed_table('usertable', 'p_key');
SELECT create_distributed_table('everywhere', 'p_key');

-- Workload F: reads a record and writes one field of it, in one transaction.
CREATE FUNCTION ycsb_modify(p integer, k bigint, v text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    r record;
BEGIN
    SELECT * INTO r FROM usertable WHERE p_key = p AND ycsb_key = k FOR UPDATE;
    UPDATE usertable SET field0 = v WHERE p_key = p AND ycsb_key = k;
    RETURN r.field0;
END $$;

-- A transaction of several accesses (Lotus, VLDB 2022, section 6): reads each record, and writes those of `writes`.
CREATE FUNCTION ycsb_transaction(ps integer[], ks bigint[], writes boolean[], v text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    f text;
    seen bigint := 0;
BEGIN
    FOR i IN 1..cardinality(ks) LOOP
        SELECT field0 INTO f FROM usertable WHERE p_key = ps[i] AND ycsb_key = ks[i];
        IF FOUND THEN
            seen := seen + 1;
        END IF;
        IF writes[i] THEN
            UPDATE usertable SET field0 = v WHERE p_key = ps[i] AND ycsb_key = ks[i];
        END IF;
    END LOOP;
    RETURN seen;
END $$;

-- The same with every partition held to its end: what engines do that cannot hold two partitions alone.
CREATE FUNCTION ycsb_lock_all(ps integer[], ks bigint[], writes boolean[], v text) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM everywhere;
    RETURN ycsb_transaction(ps, ks, writes, v);
END $$;
