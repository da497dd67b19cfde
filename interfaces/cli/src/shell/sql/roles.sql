SELECT r.rolname AS "Role name",
       concat_ws(', ',
           CASE WHEN r.rolsuper THEN 'Superuser' END,
           CASE WHEN NOT r.rolinherit THEN 'No inheritance' END,
           CASE WHEN r.rolcreaterole THEN 'Create role' END,
           CASE WHEN r.rolcreatedb THEN 'Create DB' END,
           CASE WHEN NOT r.rolcanlogin THEN 'Cannot login' END,
           CASE WHEN r.rolreplication THEN 'Replication' END,
           CASE WHEN r.rolbypassrls THEN 'Bypass RLS' END) AS "Attributes"
FROM pg_catalog.pg_roles r
WHERE ($3::text IS NULL OR r.rolname ~ $3::text)
  AND ($4::boolean OR r.rolname !~ '^pg_')
ORDER BY 1
