SELECT CASE WHEN e = 'ok' THEN 1 ELSE 2 END, f[1:2], d #>> '{i}', a::text::numeric FROM t
