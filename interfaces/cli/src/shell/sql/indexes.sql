SELECT n.nspname AS "Schema",
       c.relname AS "Name",
       'index' AS "Type",
       pg_catalog.pg_get_userbyid(c.relowner) AS "Owner",
       t.relname AS "Table"
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
