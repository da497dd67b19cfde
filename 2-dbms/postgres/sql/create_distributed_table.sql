-- Citus's create_distributed_table on a PostgreSQL without Citus: the same complaints, and nothing else to do.
CREATE OR REPLACE FUNCTION public.create_distributed_table(
    table_name regclass,
    distribution_column text,
    distribution_type text DEFAULT 'hash',
    colocate_with text DEFAULT 'default',
    shard_count int DEFAULT NULL
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    key smallint;
    unique_index regclass;
BEGIN
    SELECT a.attnum INTO key FROM pg_catalog.pg_attribute a
     WHERE a.attrelid = table_name AND a.attname = distribution_column AND a.attnum > 0 AND NOT a.attisdropped;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'column "%" of relation "%" does not exist', distribution_column,
            (SELECT c.relname FROM pg_catalog.pg_class c WHERE c.oid = table_name)
            USING ERRCODE = 'undefined_column';
    END IF;
    SELECT i.indexrelid INTO unique_index FROM pg_catalog.pg_index i
     WHERE i.indrelid = table_name AND i.indisunique AND NOT key = ANY (i.indkey::smallint[])
     ORDER BY i.indexrelid LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'cannot create constraint on "%"',
            (SELECT c.relname FROM pg_catalog.pg_class c WHERE c.oid = table_name)
            USING ERRCODE = 'feature_not_supported',
                  DETAIL = 'Distributed relations cannot have UNIQUE, EXCLUDE, or PRIMARY KEY constraints that do not '
                           'include the partition column (with an equality operator if EXCLUDE).';
    END IF;
END
$$
