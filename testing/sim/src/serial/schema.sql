-- Rows with a number, and lists that are only appended to, each in a distributed, a local and a reference table.
CREATE TABLE entry (p_key int NOT NULL, k int NOT NULL, v bigint NOT NULL CHECK (v >= 0), PRIMARY KEY (p_key, k));
SELECT create_distributed_table('entry', 'p_key');
CREATE TABLE local_entry (p_key int NOT NULL, k int NOT NULL, v bigint NOT NULL CHECK (v >= 0), PRIMARY KEY (p_key, k));
CREATE TABLE reference_entry (p_key int NOT NULL, k int NOT NULL, v bigint NOT NULL CHECK (v >= 0), PRIMARY KEY (p_key, k));
SELECT create_reference_table('reference_entry');
CREATE TABLE chain (p_key int NOT NULL, k int NOT NULL, items text NOT NULL, PRIMARY KEY (p_key, k));
SELECT create_distributed_table('chain', 'p_key');
CREATE TABLE local_chain (p_key int NOT NULL, k int NOT NULL, items text NOT NULL, PRIMARY KEY (p_key, k));
CREATE TABLE reference_chain (p_key int NOT NULL, k int NOT NULL, items text NOT NULL, PRIMARY KEY (p_key, k));
SELECT create_reference_table('reference_chain');
CREATE INDEX entry_by_v ON entry (p_key, v);
CREATE SEQUENCE clock;

-- A transaction of several statements in one call. Its last act, with all latches held, is to draw a number: the commit order.
CREATE FUNCTION run(statements text[]) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  answers text[] := '{}';
  statement text;
  answer text;
BEGIN
  FOREACH statement IN ARRAY statements LOOP
    EXECUTE statement INTO answer;
    answers := answers || coalesce(answer, '(none)');
  END LOOP;
  RETURN answers || nextval('clock')::text;
END $$;

-- The same, with each statement in a block of its own: one that fails is undone and named by its SQLSTATE.
CREATE FUNCTION run_guarded(statements text[]) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  answers text[] := '{}';
  statement text;
  answer text;
BEGIN
  FOREACH statement IN ARRAY statements LOOP
    BEGIN
      EXECUTE statement INTO answer;
      answers := answers || coalesce(answer, '(none)');
    EXCEPTION WHEN unique_violation OR check_violation THEN
      answers := answers || SQLSTATE;
    END;
  END LOOP;
  RETURN answers || nextval('clock')::text;
END $$;
