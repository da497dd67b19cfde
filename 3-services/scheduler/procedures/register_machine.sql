-- Notes a machine and what it is made of: [{"kind", "number", "parent_kind", "parent", "amount", "name"}]. Its status stays.
-- Writes reference tables: on Citus a transaction over all nodes.
CREATE OR REPLACE FUNCTION os.register_machine(machine_name text, host_name text, parts jsonb DEFAULT '[]') RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(machine_name, '') = '' OR jsonb_typeof(parts) IS DISTINCT FROM 'array' THEN
        RAISE EXCEPTION 'a machine needs a name, and an array of its parts' USING ERRCODE = 'TXS09';
    END IF;
    PERFORM 1 FROM jsonb_array_elements(parts) e
      WHERE jsonb_typeof(e) <> 'object' OR coalesce(e ->> 'kind', '') = '' OR jsonb_typeof(e -> 'number') IS DISTINCT FROM 'number';
    IF FOUND THEN
        RAISE EXCEPTION 'a part of machine "%" has no kind or number', machine_name USING ERRCODE = 'TXS09';
    END IF;
    INSERT INTO os.machine (machine, host) VALUES (machine_name, coalesce(host_name, ''))
        ON CONFLICT (machine) DO UPDATE SET host = EXCLUDED.host, seen_at = EXCLUDED.seen_at;
    DELETE FROM os.machine_part m WHERE m.machine = machine_name;
    INSERT INTO os.machine_part (machine, kind, number, parent_kind, parent, amount, name)
    SELECT machine_name, e ->> 'kind', (e ->> 'number')::int, e ->> 'parent_kind', (e ->> 'parent')::int,
           coalesce((e ->> 'amount')::bigint, 1), e ->> 'name'
      FROM jsonb_array_elements(parts) e;
END
$$;
