-- What every service stands on. Run statement by statement on the embedded engine, as one transaction on PostgreSQL.

CREATE SCHEMA IF NOT EXISTS os;

-- What is installed: one row a service. `procedures` is the fingerprint of its procedures' text.
CREATE TABLE IF NOT EXISTS os.version (
    service text PRIMARY KEY,
    version int NOT NULL CHECK (version > 0),
    procedures text NOT NULL,
    installed_at timestamptz NOT NULL DEFAULT now()
);

SELECT create_reference_table('os.version');

-- The paper's Map: where each bucket of keys lives.
CREATE TABLE IF NOT EXISTS os.partition_map (
    bucket int PRIMARY KEY CHECK (bucket BETWEEN 0 AND 63),
    partition int NOT NULL CHECK (partition >= 0),
    node text NOT NULL
);

SELECT create_reference_table('os.partition_map');

-- The paper's User. The home bucket holds the user's files, tasks and graphs.
CREATE TABLE IF NOT EXISTS os.user (
    user_name text PRIMARY KEY CHECK (user_name ~ '^[a-z_][a-z0-9_.-]{0,62}$'),
    home_bucket int NOT NULL CHECK (home_bucket BETWEEN 0 AND 63),
    current_path text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

SELECT create_reference_table('os.user');

-- Limits and periods that an UPDATE changes. A missing row means the default that the procedure names.
CREATE TABLE IF NOT EXISTS os.setting (
    name text PRIMARY KEY,
    value bigint NOT NULL,
    meaning text NOT NULL
);

SELECT create_reference_table('os.setting');

-- Identifiers are `last * 64 + bucket`: unique everywhere, drawn from one row of the own bucket, and the
-- bucket of an identifier is its low six bits.
CREATE TABLE IF NOT EXISTS os.counter (
    p_key int NOT NULL,
    kind text NOT NULL,
    last bigint NOT NULL CHECK (last >= 0),
    PRIMARY KEY (p_key, kind)
);

SELECT create_distributed_table('os.counter', 'p_key');

INSERT INTO os.partition_map (bucket, partition, node)
SELECT bucket, 0, 'local' FROM generate_series(0, 63) bucket
ON CONFLICT DO NOTHING;
