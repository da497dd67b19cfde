SELECT substring(pg_catalog.pg_get_triggerdef(t.oid, true) FROM 'TRIGGER (.*)$')
FROM pg_catalog.pg_trigger t
WHERE t.tgrelid = $1::oid AND NOT t.tgisinternal
ORDER BY t.tgname
