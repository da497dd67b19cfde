INSERT INTO t (p, a) VALUES (1, 1) ON CONFLICT (p, a) DO UPDATE SET b = excluded.b WHERE t.a > 0 RETURNING *
