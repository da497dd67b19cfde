SELECT c.oid, n.nspname, c.relname, c.relkind
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE ($2::text IS NULL OR n.nspname ~ $2::text)
  AND ($3::text IS NULL OR c.relname ~ $3::text)
  AND ($2::text IS NOT NULL OR pg_catalog.pg_table_is_visible(c.oid))
ORDER BY 2, 3
