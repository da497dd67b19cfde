SELECT d.datname AS "Name",
       pg_catalog.pg_get_userbyid(d.datdba) AS "Owner",
       pg_catalog.pg_encoding_to_char(d.encoding) AS "Encoding",
       d.datcollate AS "Collate",
       d.datctype AS "Ctype"
FROM pg_catalog.pg_database d
WHERE ($3::text IS NULL OR d.datname ~ $3::text)
ORDER BY 1
