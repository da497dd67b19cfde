SELECT jsonb_path_query(d, '$.i'), d @> '{"i": 1}', regexp_replace(b, '(b+)', '\1x', 'g'), format('%s %I', a, e) FROM t
