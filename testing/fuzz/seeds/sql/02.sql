UPDATE t SET c = c * 2, d = d || '{"k": [1, 2]}' WHERE p = 3 AND d->>'i' = '3'
