-- What a dump of a node has in the words in which it was written.
CREATE VIEW kept.deep AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT n, row_number() OVER (ORDER BY n DESC) AS place FROM r UNION SELECT id, (SELECT max(b) FROM kept.shrunk) FROM kept.a_child;
CREATE FUNCTION kept.standard(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT a + 1; END;
CREATE TABLE kept.folded (c text DEFAULT 'x' || 'y');
