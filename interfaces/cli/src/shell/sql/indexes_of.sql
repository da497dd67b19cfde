SELECT '"' || c.relname || '"'
       || CASE WHEN i.indisprimary THEN ' PRIMARY KEY,'
               WHEN i.indisunique AND k.contype = 'u' THEN ' UNIQUE CONSTRAINT,'
               WHEN i.indisunique THEN ' UNIQUE,'
               ELSE '' END
       || ' ' || substring(pg_catalog.pg_get_indexdef(i.indexrelid, 0, true) FROM ' USING (.*)$')
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
LEFT JOIN pg_catalog.pg_constraint k
       ON k.conrelid = i.indrelid AND k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')
WHERE i.indrelid = $1::oid
ORDER BY i.indisprimary DESC, c.relname
