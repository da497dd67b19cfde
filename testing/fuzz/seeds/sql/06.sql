SELECT f(a), count(*) FILTER (WHERE b IS NULL) FROM u GROUP BY ROLLUP (f(a)) HAVING count(*) > 0
