CREATE TYPE c AS (x int, y text); CREATE DOMAIN o AS int CHECK (VALUE > 0); SELECT (ROW(1, 'a')::c).y, 5::o
