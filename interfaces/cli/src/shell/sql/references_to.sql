SELECT 'TABLE "' || c.relname || '" CONSTRAINT "' || k.conname || '" ' || pg_catalog.pg_get_constraintdef(k.oid, true)
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
WHERE k.confrelid = $1::oid AND k.contype = 'f'
ORDER BY k.conname
