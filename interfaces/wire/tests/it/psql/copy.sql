\set VERBOSITY default
\set SHOW_CONTEXT errors
CREATE TYPE colour AS ENUM ('red', 'green');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TABLE part (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name varchar(5) NOT NULL, price numeric(6, 2) DEFAULT 1.5,
    tags text[], colour colour, amount positive, born timestamptz, raw bytea,
    total numeric GENERATED ALWAYS AS (price * amount) STORED
);
COPY part (name, price, tags, colour, amount) FROM stdin;
bolt	2.345	{a,"b c",NULL}	red	3
nut\tx	\N	{}	\N	\N
\x41\102\\	10	\N	green	1
\.
COPY part FROM stdin WITH (FORMAT csv, HEADER match);
id,name,price,tags,colour,amount,born,raw
100,"a,""b",,"{""x,y""}",red,,2020-02-30 10:00,\x00ff
\.
COPY part FROM stdin CSV HEADER;
id,name,price,tags,colour,amount,born,raw
100,"a,""b",,"{""x,y""}",red,,2020-02-29 10:00+00,\x00ff
101,"",0,,,7,,
102," ""
c",1,,,,,
\.
SELECT id, name, price, tags, colour, amount, born, raw, total FROM part ORDER BY id;
COPY part TO stdout;
COPY part (id, name, price) TO stdout CSV HEADER;
COPY (SELECT id, name FROM part ORDER BY id DESC LIMIT 2) TO stdout WITH (FORMAT csv, FORCE_QUOTE *, NULL 'nil');
COPY (SELECT NULL, '', 'nil', E'a\tb', E'\\', E'\r\n') TO stdout (DELIMITER '|', NULL 'nil');
COPY (SELECT NULL, '', 'nil', E'a\tb', E'\\', E'\r\n', '|') TO stdout CSV DELIMITER '|' NULL 'nil' QUOTE '''' ESCAPE '\';
COPY (SELECT '\.') TO stdout CSV;
COPY (INSERT INTO part (name, amount) VALUES ('new', 2) RETURNING name, total) TO stdout;
COPY (UPDATE part SET price = 7 WHERE id = 101 RETURNING id, total) TO stdout;
-- What is wrong with data.
COPY part (name, amount) FROM stdin;
ok	1
bad
\.
COPY part (name, amount) FROM stdin;
ok	1	2
\.
COPY part (name, amount) FROM stdin;
toolong	1
\.
COPY part (name, amount) FROM stdin;
ok	x
\.
COPY part (name, amount) FROM stdin;
ok	0
\.
COPY part (name, colour) FROM stdin;
ok	blue
\.
COPY part (name, amount) FROM stdin CSV;
ok,"1
\.
COPY part (name, amount) FROM stdin (FORMAT csv, HEADER match);
name,number
\.
SELECT count(*) FROM part;
\set VERBOSITY terse
COPY part (name) FROM stdin;
\N
\.
COPY part (id, name) FROM stdin;
100	again
\.
-- WHERE, triggers, transactions.
CREATE TABLE seen (what text, how_many bigint);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO seen SELECT TG_OP, count(*) FROM fresh; RETURN NULL; END $$;
CREATE TRIGGER part_note AFTER INSERT ON part REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION note();
BEGIN;
COPY part (name, amount) FROM stdin WHERE amount > 5;
w1	5
w2	6
w3	7
\.
SELECT name, total FROM part WHERE name LIKE 'w%' ORDER BY name;
SELECT * FROM seen;
ROLLBACK;
SELECT count(*) FROM seen;
BEGIN;
COPY part (name, amount) FROM stdin;
t	nothing
\.
SELECT 1;
COMMIT;
COPY part (name) FROM stdin WHERE name IN (SELECT 'x');
\.
-- Two in one text, and what follows them.
COPY part (name) FROM stdin \; COPY seen FROM stdin \; SELECT how_many FROM seen ORDER BY how_many;
two
\.
x	77
\.
-- What is refused.
COPY nothing FROM stdin;
COPY part (nothing) FROM stdin;
COPY part (name, name) FROM stdin;
COPY part (total) FROM stdin;
CREATE VIEW names AS SELECT name FROM part;
COPY names TO stdout;
COPY (SELECT 1 INTO elsewhere) TO stdout;
COPY (DELETE FROM part) TO stdout;
COPY part TO stdout (FORMAT nonsense);
COPY part TO stdout (FORMAT csv, FORMAT csv);
COPY part TO stdout (DELIMITER 'ab');
COPY part TO stdout (DELIMITER E'\n');
COPY part TO stdout (DELIMITER 'a');
COPY part TO stdout (NULL E'\n');
COPY part TO stdout (NULL E'a\tb');
COPY part TO stdout (FORMAT csv, QUOTE ',');
COPY part TO stdout (FORMAT csv, NULL '"');
COPY part TO stdout (QUOTE '"');
COPY part TO stdout (ESCAPE '"');
COPY part TO stdout (FORMAT csv, ESCAPE 'ab');
COPY part TO stdout (FORCE_QUOTE *);
COPY part TO stdout (FORMAT csv, FORCE_NULL (name));
COPY part FROM stdin (FORMAT csv, FORCE_QUOTE (name));
COPY part TO stdout (FORMAT csv, FORCE_QUOTE (nothing));
COPY part TO stdout (FORMAT binary, DELIMITER ',');
COPY part TO stdout (FORMAT binary, NULL 'x');
COPY part TO stdout (FORMAT binary, HEADER);
COPY part TO stdout (HEADER match);
COPY part TO stdout (HEADER 7);
COPY part TO stdout (NONSENSE);
COPY part TO stdout (FORMAT);
-- Through files of the client, in all three formats.
\copy part to 'text.data'
\copy part to 'csv.data' csv header
\copy part to 'binary.data' binary
CREATE TABLE second (LIKE part INCLUDING ALL);
\copy second from 'text.data'
SELECT * FROM part EXCEPT SELECT * FROM second;
TRUNCATE second;
\copy second from 'csv.data' csv header
SELECT * FROM part EXCEPT SELECT * FROM second;
CREATE TABLE plain (id integer, name varchar(5), price numeric(6, 2), tags text[], born timestamptz, raw bytea);
\copy (SELECT id, name, price, tags, born, raw FROM part) to 'binary.data' binary
\copy plain from 'binary.data' binary
SELECT id, name, price, tags, born, raw FROM part EXCEPT SELECT * FROM plain;
\copy plain from 'text.data' binary
CREATE TABLE nothing ();
COPY nothing FROM stdin;


\.
SELECT count(*) FROM nothing;
COPY nothing TO stdout;

-- A table whose trigger changes the catalogue: the session is out of the transaction afterwards.
CREATE TABLE delivery (id integer);
CREATE FUNCTION delivery_day() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'CREATE TABLE delivery_of_' || new.id || ' (item text)';
    RETURN new;
END $$;
CREATE TRIGGER delivery_day BEFORE INSERT ON delivery FOR EACH ROW EXECUTE FUNCTION delivery_day();
COPY delivery FROM STDIN;
1
2
\.
ROLLBACK;
SELECT id FROM delivery ORDER BY id;
SELECT count(*) FROM delivery_of_2;
COPY delivery FROM STDIN;
3
2
\.
SELECT id FROM delivery ORDER BY id;
SELECT count(*) FROM delivery_of_3;

-- Whose error it is: the line, and what stands in it unless only an index has seen it.
CREATE TABLE owner (id integer PRIMARY KEY);
INSERT INTO owner VALUES (1);
CREATE TABLE guarded (id integer PRIMARY KEY, price integer NOT NULL CHECK (price > 0), owner integer REFERENCES owner);
COPY guarded FROM STDIN;
1	10	1
2	0	1
\.
COPY guarded FROM STDIN;
1	10	1
2	\N	1
\.
COPY guarded FROM STDIN;
1	10	1
2	20	1
1	30	1
\.
COPY guarded FROM STDIN;
1	10	1
2	20	7
\.
COPY guarded (id, price) FROM STDIN WHERE id <> 2;
1	10
2	0
3	-1
\.
COPY guarded (id, price) FROM STDIN (FORMAT csv, HEADER);
id,price
1,10
2,"-20"
\.
CREATE FUNCTION careful() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.price = 13 THEN
        RAISE EXCEPTION 'not %', new.price;
    END IF;
    RETURN new;
END $$;
CREATE TRIGGER careful BEFORE INSERT ON guarded FOR EACH ROW EXECUTE FUNCTION careful();
COPY guarded FROM STDIN;
1	10	1
2	13	1
\.
COPY guarded FROM STDIN;
1	10	1
1	20	1
\.
SELECT count(*) FROM guarded;
