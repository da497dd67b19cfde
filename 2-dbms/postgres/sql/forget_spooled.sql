-- forget_spooled on PostgreSQL: old rows go one by one.
CREATE OR REPLACE FUNCTION public.forget_spooled(
    table_name regclass,
    column_name text,
    before timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE pg_catalog.format('DELETE FROM %s WHERE %I < $1', table_name, column_name) USING before;
END
$$
