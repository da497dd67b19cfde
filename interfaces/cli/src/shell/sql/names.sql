SELECT 'r', n.nspname, c.relname, pg_catalog.pg_table_is_visible(c.oid), c.relkind::text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'v', 'm', 'S', 'i')
UNION ALL
SELECT 'c', n.nspname, c.relname, pg_catalog.pg_table_is_visible(c.oid), a.attname
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'v', 'm')
UNION ALL
SELECT 'f', n.nspname, p.proname, pg_catalog.pg_function_is_visible(p.oid), ''
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
GROUP BY 2, 3, 4
UNION ALL
SELECT 'n', nspname, nspname, true, '' FROM pg_catalog.pg_namespace
UNION ALL
SELECT 's', '', name, true, '' FROM pg_catalog.pg_settings
ORDER BY 1, 2, 3
