-- What psql/schema.sql does not have: every type with values, what depends on each other against the order of names, comments.
CREATE SCHEMA kept;
COMMENT ON SCHEMA kept IS 'what a dump has to keep';
CREATE TYPE kept.level AS ENUM ('low', 'it''s high', 'ä');
COMMENT ON TYPE kept.level IS 'three of them';
CREATE TYPE kept.pair AS (a integer, b kept.level);
CREATE DOMAIN kept.code AS kept.level CHECK (VALUE <> 'low');
CREATE TABLE kept.every_type (
    id bigint GENERATED ALWAYS AS IDENTITY (START WITH 10 INCREMENT BY 5) PRIMARY KEY,
    b boolean, s smallint, i integer, l bigint, r real, d double precision, n numeric, np numeric(10,3),
    t text, v varchar(12), c char(5), y bytea, day date, tm time, ts timestamp, tz timestamp with time zone,
    tp timestamp(2), w interval, wf interval day to second(3), u uuid, j json, jb jsonb,
    ia integer[], ta text[], na numeric(5,2)[], e kept.level, ea kept.level[], p kept.pair, k kept.code, nm name,
    o oid, one "char"
);
INSERT INTO kept.every_type (b, s, i, l, r, d, n, np, t, v, c, y, day, tm, ts, tz, tp, w, wf, u, j, jb, ia, ta, na, e, ea, p, k, nm, o, one)
VALUES (true, -32768, 2147483647, -9223372036854775808, 0.1, 1.0 / 3, 12345678901234567890.123456789, -1.5,
    E'tab\tline\nback\\slash''quote', 'twelve chars', 'ab', '\x00ff5c', '0044-03-15 BC', '23:59:59.999999', '1999-12-31 23:59:59.5',
    '2020-02-29 12:00:00+05:30', '2001-01-01 00:00:00.126', '1 year 2 months 3 days 04:05:06.7', '5 days 01:02:03.4567',
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"a" : [1, 2,   null]}', '{"b":1,"a":"x\u00e4"}',
    '{{1,2},{3,NULL}}', ARRAY['', 'NULL', 'a"b', 'c,d', NULL], '{1.25,NaN}', 'it''s high', '{low,ä}', ROW(1, 'ä'), 'ä', 'a name', 4294967295, 'x'),
    (NULL, NULL, NULL, NULL, 'NaN', '-Infinity', 'NaN', NULL, '', '', '', '', 'infinity', '00:00', '-infinity', 'infinity', NULL, '-1 mon +2 days',
    NULL, NULL, 'null', 'null', '{}', '[2:3]={x,y}', NULL, NULL, '{}', ROW(NULL, NULL), NULL, NULL, NULL, NULL);
INSERT INTO kept.every_type (t) SELECT 'row ' || g FROM generate_series(1, 20) g;
COMMENT ON TABLE kept.every_type IS E'two\nlines';
COMMENT ON COLUMN kept.every_type.id IS 'it''s identity';
CREATE TABLE kept.shrunk (a int, gone text, b int NOT NULL DEFAULT 5, c text DEFAULT 'xy');
ALTER TABLE kept.shrunk DROP COLUMN gone;
COMMENT ON COLUMN kept.shrunk.b IS 'the third';
INSERT INTO kept.shrunk VALUES (1, 2, 'three'), (2, 3, NULL);
ALTER TABLE kept.shrunk ALTER b SET STATISTICS 50;
CREATE INDEX shrunk_b ON kept.shrunk (b DESC NULLS LAST, upper(c)) WHERE b > 1;
CREATE INDEX shrunk_pattern ON kept.shrunk (c text_pattern_ops) INCLUDE (a) WITH (fillfactor = 70);
COMMENT ON INDEX kept.shrunk_b IS 'not all of them';
CREATE TABLE kept."Odd Name" ("select" int, "a.b" text, UNIQUE ("select", "a.b"));
INSERT INTO kept."Odd Name" VALUES (1, 'x');
-- A circle of foreign keys, and one to itself.
CREATE TABLE kept.a_child (id int PRIMARY KEY, parent int);
CREATE TABLE kept.b_parent (id int PRIMARY KEY, favourite int REFERENCES kept.a_child ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED);
ALTER TABLE kept.a_child ADD CONSTRAINT of_parent FOREIGN KEY (parent) REFERENCES kept.b_parent (id) ON UPDATE CASCADE NOT VALID;
COMMENT ON CONSTRAINT of_parent ON kept.a_child IS 'in a circle';
BEGIN;
INSERT INTO kept.b_parent VALUES (1, 2), (2, NULL);
INSERT INTO kept.a_child VALUES (1, 1), (2, 1);
COMMIT;
ALTER TABLE kept.a_child ADD CONSTRAINT big CHECK (id < 1000) NOT VALID;
-- Views named against the order in which they are needed, functions in defaults, CHECKs and views.
CREATE FUNCTION kept.zz_next() RETURNS int LANGUAGE sql AS 'SELECT 7';
COMMENT ON FUNCTION kept.zz_next() IS 'always seven';
CREATE TABLE kept.aa_uses (a int DEFAULT kept.zz_next(), b int, CONSTRAINT not_seven CHECK (b <> kept.zz_next()));
INSERT INTO kept.aa_uses (b) VALUES (1);
CREATE VIEW kept.z_base AS SELECT id, parent FROM kept.a_child WHERE id > 0;
CREATE VIEW kept.m_middle AS SELECT z.id, kept.zz_next() AS seven FROM kept.z_base z JOIN kept.b_parent p ON p.id = z.parent;
CREATE VIEW kept.a_top AS SELECT seven, count(*) AS n FROM kept.m_middle GROUP BY seven;
COMMENT ON VIEW kept.a_top IS 'the top';
CREATE VIEW kept.checked AS SELECT b FROM kept.shrunk WHERE b > 1 WITH LOCAL CHECK OPTION;
CREATE MATERIALIZED VIEW kept.counted AS SELECT parent, count(*) AS n FROM kept.z_base GROUP BY parent;
CREATE UNIQUE INDEX counted_parent ON kept.counted (parent);
CREATE MATERIALIZED VIEW kept.empty AS SELECT 1 AS one WITH NO DATA;
-- Sequences that have been used, and one that no column has.
CREATE SEQUENCE kept.lonely AS smallint INCREMENT BY -2 MINVALUE -100 MAXVALUE 10 START WITH 8 CACHE 5;
SELECT nextval('kept.lonely'), nextval('kept.lonely');
CREATE SEQUENCE kept.fresh;
CREATE TABLE kept.serials (a serial, b smallserial, c int DEFAULT nextval('kept.fresh'));
INSERT INTO kept.serials DEFAULT VALUES;
-- Functions of all kinds.
CREATE FUNCTION kept.adds(a int, b int DEFAULT 2, OUT sum int, OUT product bigint) LANGUAGE plpgsql IMMUTABLE STRICT AS $$ BEGIN sum := a + b; product := a * b; END $$;
CREATE FUNCTION kept.rows_of(n int) RETURNS SETOF kept.every_type LANGUAGE sql STABLE ROWS 10 AS $_$ SELECT * FROM kept.every_type WHERE i = $1 $_$;
CREATE FUNCTION kept.any_of(VARIADIC list anyarray) RETURNS anyelement LANGUAGE plpgsql COST 5 AS $$ BEGIN RETURN list[1]; END $$;
CREATE PROCEDURE kept.change(INOUT n int) LANGUAGE plpgsql AS $$ BEGIN UPDATE kept.shrunk SET b = n; END $$;
COMMENT ON PROCEDURE kept.change(int) IS 'changes';
CREATE FUNCTION kept.watch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN COALESCE(NEW, OLD); END $$;
CREATE TRIGGER watch_rows AFTER UPDATE OF b OR DELETE ON kept.shrunk FOR EACH ROW WHEN (OLD.b > 1) EXECUTE FUNCTION kept.watch('x', 'it''s');
CREATE TRIGGER watch_changes AFTER UPDATE ON kept.shrunk REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION kept.watch();
COMMENT ON TRIGGER watch_rows ON kept.shrunk IS 'watches';
ALTER TABLE kept.shrunk DISABLE TRIGGER watch_changes;
CREATE FUNCTION kept.settled() RETURNS int LANGUAGE plpgsql SECURITY DEFINER PARALLEL SAFE LEAKPROOF SET search_path = kept, pg_temp SET "TimeZone" = 'UTC' AS $$ BEGIN RETURN 1; END $$;
