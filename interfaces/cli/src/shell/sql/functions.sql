SELECT n.nspname AS "Schema",
       p.proname AS "Name",
       pg_catalog.pg_get_function_result(p.oid) AS "Result data type",
       pg_catalog.pg_get_function_arguments(p.oid) AS "Argument data types",
       CASE p.prokind
           WHEN 'a' THEN 'agg'
           WHEN 'w' THEN 'window'
           WHEN 'p' THEN 'proc'
           ELSE CASE WHEN p.prorettype = 'pg_catalog.trigger'::pg_catalog.regtype THEN 'trigger' ELSE 'func' END
       END AS "Type"
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE ($2::text IS NULL OR n.nspname ~ $2::text)
  AND ($3::text IS NULL OR p.proname ~ $3::text)
  AND ($2::text IS NOT NULL OR pg_catalog.pg_function_is_visible(p.oid))
  AND ($4::boolean OR (n.nspname <> 'pg_catalog' AND n.nspname <> 'information_schema'))
ORDER BY 1, 2, 4
