-- spool_table on PostgreSQL, whose rows are on disk anyway: the same complaints, and nothing else to do.
CREATE OR REPLACE FUNCTION public.spool_table(table_name regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    unique_index text;
BEGIN
    SELECT i.indexrelid::regclass::text INTO unique_index FROM pg_catalog.pg_index i
     WHERE i.indrelid = table_name AND i.indisunique ORDER BY i.indexrelid LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'table "%" cannot be spooled: index "%" is unique',
            (SELECT c.relname FROM pg_catalog.pg_class c WHERE c.oid = table_name), unique_index
            USING ERRCODE = 'feature_not_supported';
    END IF;
END
$$
