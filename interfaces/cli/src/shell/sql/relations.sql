SELECT n.nspname AS "Schema",
       c.relname AS "Name",
       CASE c.relkind
           WHEN 'r' THEN 'table'
           WHEN 'v' THEN 'view'
           WHEN 'm' THEN 'materialized view'
           WHEN 'i' THEN 'index'
           WHEN 'S' THEN 'sequence'
           WHEN 'p' THEN 'partitioned table'
           WHEN 'f' THEN 'foreign table'
           ELSE c.relkind::text
       END AS "Type",
       pg_catalog.pg_get_userbyid(c.relowner) AS "Owner"
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE position(c.relkind::text IN $1::text) > 0
  AND ($2::text IS NULL OR n.nspname ~ $2::text)
  AND ($3::text IS NULL OR c.relname ~ $3::text)
  AND ($2::text IS NOT NULL OR pg_catalog.pg_table_is_visible(c.oid))
  AND ($4::boolean OR (n.nspname <> 'pg_catalog' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_toast'))
ORDER BY 1, 2
