WHERE position(c.relkind::text IN $1::text) > 0
  AND ($2::text IS NULL OR n.nspname ~ $2::text)
  AND ($3::text IS NULL OR c.relname ~ $3::text)
  AND ($2::text IS NOT NULL OR pg_catalog.pg_table_is_visible(c.oid))
  AND ($4::boolean OR (n.nspname <> 'pg_catalog' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_toast'))
ORDER BY 1, 2
