-- Citus's create_reference_table on a PostgreSQL without Citus: the table is everywhere already.
CREATE OR REPLACE FUNCTION public.create_reference_table(table_name regclass)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RETURN;
END
$$
