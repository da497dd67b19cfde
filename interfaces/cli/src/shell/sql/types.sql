SELECT n.nspname AS "Schema",
       pg_catalog.format_type(t.oid, NULL) AS "Name",
       CASE t.typtype
           WHEN 'b' THEN 'base'
           WHEN 'c' THEN 'composite'
           WHEN 'd' THEN 'domain'
           WHEN 'e' THEN 'enum'
           WHEN 'r' THEN 'range'
           ELSE t.typtype::text
       END AS "Kind"
FROM pg_catalog.pg_type t
JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
WHERE (t.typrelid = 0 OR (SELECT c.relkind = 'c' FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid))
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_type el WHERE el.oid = t.typelem AND el.typarray = t.oid)
  AND ($2::text IS NULL OR n.nspname ~ $2::text)
  AND ($3::text IS NULL OR t.typname ~ $3::text OR pg_catalog.format_type(t.oid, NULL) ~ $3::text)
  AND ($2::text IS NOT NULL OR pg_catalog.pg_type_is_visible(t.oid))
  AND ($4::boolean OR (n.nspname <> 'pg_catalog' AND n.nspname <> 'information_schema'))
ORDER BY 1, 2
