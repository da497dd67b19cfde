SELECT '2026-01-01'::date + interval '1 month', to_char(now(), 'YYYY'), ARRAY[1, 2][1], ROW(1, 'a')
