CREATE TABLE account (
    id bigint PRIMARY KEY,
    owner text NOT NULL,
    balance numeric(12,2) NOT NULL DEFAULT 0 CHECK (balance >= 0),
    opened timestamptz DEFAULT now(),
    note varchar(40),
    tags text[],
    code char(3) DEFAULT 'abc',
    UNIQUE (owner, note)
);
CREATE INDEX account_opened ON account (opened DESC);
CREATE INDEX account_two ON account (owner, opened DESC NULLS LAST);
CREATE TABLE plain (a int, "Quoted Name" text);
INSERT INTO plain VALUES (1, 'x');
CREATE TABLE kinds (
    a int DEFAULT -1,
    b bigint DEFAULT 5,
    c numeric DEFAULT 0.5 CHECK (c > 0 AND c < 10.5),
    d text DEFAULT 'it''s',
    e varchar(5) DEFAULT 'a' CHECK (e IN ('a', 'b')),
    f timestamptz DEFAULT current_timestamp,
    g boolean DEFAULT true,
    h float8 DEFAULT 1 CHECK (h > 0),
    i int[] DEFAULT '{}',
    j jsonb DEFAULT '{}'::jsonb,
    k date DEFAULT '2020-1-1',
    l text CHECK (length(l) > 2 AND l ~ '^a' OR l IS NULL),
    m bigint CHECK (m >= 0),
    o smallint DEFAULT 3 CHECK (o BETWEEN 1 AND 5),
    p uuid DEFAULT gen_random_uuid(),
    q text DEFAULT NULL,
    s text CHECK (s IN ('a', 'b')),
    t char(2) DEFAULT 'x',
    u interval DEFAULT '1 day',
    w date DEFAULT current_date,
    x text CHECK (x LIKE 'a%'),
    y text CHECK (lower(y) = y),
    z int CHECK (z % 2 = 0 AND -z < 5 AND abs(z) < 9),
    CHECK (a <> b::int AND NOT (g AND a > 5)),
    CHECK (coalesce(a, 0) = 0),
    CHECK ((CASE WHEN a > 0 THEN b ELSE 0 END) > 0),
    CHECK (a + b * 2 > 7 OR k > '2020-1-1' AND g IS NOT FALSE)
);
CREATE SCHEMA shop;
CREATE TABLE shop.item (k int, v jsonb, PRIMARY KEY (k));
CREATE INDEX item_hash ON shop.item USING hash (k);
CREATE FUNCTION add_one(a int, b int DEFAULT 5) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS 'SELECT a + b';
CREATE FUNCTION pairs(n int) RETURNS TABLE(x int, y text) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT 1, 'a'::text;
END
$$;
CREATE FUNCTION several(bigint, a date DEFAULT '2020-1-1', OUT sum numeric, OUT "Name" text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$ BEGIN sum := 1; END $$;
CREATE FUNCTION numbers() RETURNS SETOF int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION shop.twice(x text) RETURNS text LANGUAGE sql AS $body$ SELECT x || x $body$;
CREATE PROCEDURE do_it(INOUT a int, b text DEFAULT 'x') LANGUAGE plpgsql AS $$ BEGIN a := a + 1; END $$;

CREATE TYPE mood AS ENUM ('sad', 'so so', 'happy');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE DOMAIN short AS varchar(5) NOT NULL DEFAULT 'x' CONSTRAINT low CHECK (VALUE = lower(VALUE)) CHECK (length(VALUE) > 0);
CREATE DOMAIN smaller AS positive CHECK (VALUE < 10 AND VALUE <> 5);
CREATE TYPE point2 AS (x integer, y numeric(5,2), m mood[]);
CREATE TABLE typed (
    id positive PRIMARY KEY,
    m mood NOT NULL DEFAULT 'so so',
    all_m mood[] DEFAULT '{sad}',
    s short,
    p point2,
    CONSTRAINT no_sad CHECK (m <> 'sad' OR id > 3)
);
CREATE INDEX ON typed (m);
CREATE FUNCTION of_mood(m mood, p point2, VARIADIC l positive[]) RETURNS SETOF typed LANGUAGE sql AS 'SELECT * FROM typed';
CREATE FUNCTION poly(a anyelement, b anyarray) RETURNS anyelement LANGUAGE sql AS 'SELECT a';

CREATE VIEW rich AS SELECT * FROM account WHERE balance > 100;
CREATE VIEW owners (who, total) AS SELECT owner, sum(balance) FROM account GROUP BY owner ORDER BY owner;
CREATE VIEW shop.both AS SELECT i.k, p.a + 1 AS next FROM shop.item i LEFT JOIN plain p ON p.a = i.k;
