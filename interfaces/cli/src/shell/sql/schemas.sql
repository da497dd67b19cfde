SELECT n.nspname AS "Name",
       pg_catalog.pg_get_userbyid(n.nspowner) AS "Owner"
FROM pg_catalog.pg_namespace n
WHERE ($3::text IS NULL OR n.nspname ~ $3::text)
  AND ($4::boolean OR (n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'))
ORDER BY 1
