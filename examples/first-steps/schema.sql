-- Workers with free places, and the tasks that run on them (the paper's Task and Worker tables).
-- Both live in buckets by p_key; a bucket's rows of both are always on the same partition.
CREATE SCHEMA demo;

CREATE TABLE demo.worker (
    p_key           integer NOT NULL,
    worker_id       bigint  NOT NULL,
    unused_capacity integer NOT NULL CHECK (unused_capacity >= 0),
    PRIMARY KEY (p_key, worker_id)
);

CREATE TABLE demo.task (
    p_key     integer NOT NULL,
    task_id   bigint  NOT NULL,
    worker_id bigint,
    state     text    NOT NULL DEFAULT 'waiting',
    PRIMARY KEY (p_key, task_id)
);

SELECT create_distributed_table('demo.worker', 'p_key');
SELECT create_distributed_table('demo.task', 'p_key', colocate_with => 'demo.worker');
