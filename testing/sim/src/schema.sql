-- What the workload runs on: lists kept as rows, a bank, workers with capacity, queues, and a journal of what was done.
CREATE TABLE item (p_key int NOT NULL, pos bigint NOT NULL, id bigint NOT NULL, PRIMARY KEY (p_key, pos));
SELECT create_distributed_table('item', 'p_key');
CREATE TABLE past (p_key int NOT NULL, pos bigint NOT NULL, id bigint NOT NULL, n int NOT NULL, note text);
SELECT create_distributed_table('past', 'p_key');
SELECT spool_table('past');
CREATE TABLE local_item (p_key int NOT NULL, pos bigint NOT NULL, id bigint NOT NULL UNIQUE, PRIMARY KEY (p_key, pos));
CREATE TABLE reference_item (p_key int NOT NULL, pos bigint NOT NULL, id bigint NOT NULL, PRIMARY KEY (p_key, pos));
SELECT create_reference_table('reference_item');
CREATE TABLE list (p_key int PRIMARY KEY, len bigint NOT NULL);
SELECT create_distributed_table('list', 'p_key');
CREATE TABLE journal (p_key int NOT NULL, id bigint NOT NULL, what text NOT NULL, subject bigint NOT NULL, amount bigint NOT NULL,
                      PRIMARY KEY (p_key, id));
SELECT create_distributed_table('journal', 'p_key');
CREATE TABLE account (p_key int PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0));
SELECT create_distributed_table('account', 'p_key');
CREATE TABLE worker (p_key int NOT NULL, worker_id int NOT NULL, unused_capacity bigint NOT NULL CHECK (unused_capacity >= 0),
                     PRIMARY KEY (p_key, worker_id));
SELECT create_distributed_table('worker', 'p_key');
CREATE TABLE task (p_key int NOT NULL, task_id bigint NOT NULL, worker_id int NOT NULL, PRIMARY KEY (p_key, task_id));
SELECT create_distributed_table('task', 'p_key');
CREATE TABLE queue (p_key int NOT NULL, n bigint NOT NULL, PRIMARY KEY (p_key, n));
SELECT create_distributed_table('queue', 'p_key');

CREATE FUNCTION append(a int, v bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
  UPDATE list SET len = len + 1 WHERE p_key = a RETURNING len INTO n;
  INSERT INTO item VALUES (a, n, v);
  RETURN n;
END $$;
CREATE FUNCTION append_two(a int, v bigint, b int, w bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE m bigint; n bigint;
BEGIN
  UPDATE list SET len = len + 1 WHERE p_key = a RETURNING len INTO m;
  INSERT INTO item VALUES (a, m, v);
  UPDATE list SET len = len + 1 WHERE p_key = b RETURNING len INTO n;
  INSERT INTO item VALUES (b, n, w);
  RETURN m::text || ',' || n::text;
END $$;
CREATE FUNCTION append_after(a int, b int, v bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE last bigint; n bigint;
BEGIN
  SELECT id INTO last FROM item WHERE p_key = a ORDER BY pos DESC LIMIT 1;
  UPDATE list SET len = len + 1 WHERE p_key = b RETURNING len INTO n;
  INSERT INTO item VALUES (b, n, v);
  RETURN coalesce(last, 0)::text || ',' || n::text;
END $$;
CREATE FUNCTION transfer(a int, b int, money bigint, v bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
  UPDATE account SET balance = balance + money WHERE p_key = b;
  INSERT INTO journal VALUES (b, v + 1, 'bank', b, money);
  UPDATE account SET balance = balance - money WHERE p_key = a;
  INSERT INTO journal VALUES (a, v, 'bank', a, -money);
  RETURN money;
END $$;
CREATE FUNCTION schedule(p int, v bigint) RETURNS int LANGUAGE plpgsql AS $$
DECLARE w int;
BEGIN
  SELECT worker_id INTO w FROM worker WHERE p_key = p AND unused_capacity > 0 ORDER BY worker_id LIMIT 1 FOR UPDATE;
  IF NOT FOUND THEN
    RETURN -1;
  END IF;
  UPDATE worker SET unused_capacity = unused_capacity - 1 WHERE p_key = p AND worker_id = w;
  INSERT INTO task VALUES (p, v, w);
  INSERT INTO journal VALUES (p, v, 'schedule', w, v);
  RETURN w;
END $$;
CREATE FUNCTION finish(p int, t bigint, v bigint) RETURNS int LANGUAGE plpgsql AS $$
DECLARE w int;
BEGIN
  DELETE FROM task WHERE p_key = p AND task_id = t RETURNING worker_id INTO w;
  IF NOT FOUND THEN
    RETURN -1;
  END IF;
  UPDATE worker SET unused_capacity = unused_capacity + 1 WHERE p_key = p AND worker_id = w;
  INSERT INTO journal VALUES (p, v, 'finish', w, t);
  RETURN w;
END $$;
CREATE FUNCTION take(p int, v bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE m bigint;
BEGIN
  SELECT n INTO m FROM queue WHERE p_key = p ORDER BY n LIMIT 1 FOR UPDATE;
  IF NOT FOUND THEN
    RETURN -1;
  END IF;
  DELETE FROM queue WHERE p_key = p AND n = m;
  INSERT INTO journal VALUES (p, v, 'take', 0, m);
  RETURN m;
END $$;
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO past SELECT NEW.p_key, NEW.pos, NEW.id, n, CASE WHEN n % 3 > 0 THEN 'a note of more than fifteen bytes' END
    FROM generate_series(1, 100) n;
  RETURN NEW;
END $$;
CREATE TRIGGER item_kept AFTER INSERT ON item FOR EACH ROW EXECUTE FUNCTION keep();
