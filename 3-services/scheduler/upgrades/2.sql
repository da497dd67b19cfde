-- Version 2: task classes, queues with limits, fair shares, machines, named resources, gangs, decisions.
-- Every statement may run again: the embedded engine runs them one by one.

-- Why and when its policy chose this worker; the policy itself is task_spec.policy unless `decision` names another.
ALTER TABLE os.task ADD COLUMN IF NOT EXISTS decided_at timestamptz;
ALTER TABLE os.task ADD COLUMN IF NOT EXISTS decision text;

-- What few tasks have: class, resources, queue, group, key, backoff_max_ms, jitter, start_at, code, paused; null for the others.
ALTER TABLE os.task_spec ADD COLUMN IF NOT EXISTS options jsonb;

-- Named resources that it asks for ({} also for a gang), and why it is parked: null: no worker is large enough; paused; gang.
ALTER TABLE os.task_queue ADD COLUMN IF NOT EXISTS resources jsonb;
ALTER TABLE os.task_queue ADD COLUMN IF NOT EXISTS why text;

-- What a task holds beside cores and memory: {"resources": {...}, "queue": ..., "backup": its copy}; null for most.
ALTER TABLE os.task_lease ADD COLUMN IF NOT EXISTS more jsonb;

-- closed: a user lets it get nothing new; closed_by_machine: its machine is closed.
ALTER TABLE os.worker ADD COLUMN IF NOT EXISTS machine text;
ALTER TABLE os.worker DROP CONSTRAINT IF EXISTS worker_status_check;
ALTER TABLE os.worker ADD CONSTRAINT worker_status_check
    CHECK (status IN ('up', 'draining', 'left', 'dead', 'closed', 'closed_by_machine'));

-- slept: the attempt ended by sleep_task. result: what finish_task was given.
ALTER TABLE os.task_result ADD COLUMN IF NOT EXISTS result jsonb;
ALTER TABLE os.task_result DROP CONSTRAINT IF EXISTS task_result_outcome_check;
ALTER TABLE os.task_result ADD CONSTRAINT task_result_outcome_check
    CHECK (outcome IN ('done', 'failed', 'lost', 'cancelled', 'slept'));

-- gang: its tasks begin together or not at all.
ALTER TABLE os.graph ADD COLUMN IF NOT EXISTS options jsonb;
ALTER TABLE os.graph ADD COLUMN IF NOT EXISTS gang bool NOT NULL DEFAULT false;

-- Which policy places the tasks of a class; an UPDATE holds for those that wait, too.
CREATE TABLE IF NOT EXISTS os.task_class (
    class text PRIMARY KEY,
    policy text NOT NULL,
    meaning text NOT NULL DEFAULT ''
);

SELECT create_reference_table('os.task_class');

-- The weight of 'user:NAME' or 'group:NAME' under policy fair; 1 where there is no row.
CREATE TABLE IF NOT EXISTS os.share (
    name text PRIMARY KEY,
    weight int NOT NULL CHECK (weight BETWEEN 1 AND 1000000)
);

SELECT create_reference_table('os.share');

-- A queue with limits in a bucket; those of policy fair ('user:NAME', 'group:NAME') make themselves.
-- passed: core milliseconds by weight, what it has had; of queues of one priority the one that had least is next.
CREATE TABLE IF NOT EXISTS os.queue (
    p_key int NOT NULL,
    queue text NOT NULL,
    priority int NOT NULL DEFAULT 0,
    weight int NOT NULL DEFAULT 1 CHECK (weight BETWEEN 1 AND 1000000),
    concurrency int CHECK (concurrency > 0),
    rate int CHECK (rate > 0),
    rate_ms int NOT NULL DEFAULT 1000 CHECK (rate_ms > 0),
    queued_max int CHECK (queued_max >= 0),
    paused bool NOT NULL DEFAULT false,
    waiting int NOT NULL DEFAULT 0 CHECK (waiting >= 0),
    running int NOT NULL DEFAULT 0 CHECK (running >= 0),
    passed bigint NOT NULL DEFAULT 0,
    window_from timestamptz,
    window_count int NOT NULL DEFAULT 0,
    PRIMARY KEY (p_key, queue)
);

SELECT create_distributed_table('os.queue', 'p_key', colocate_with => 'os.counter');

-- Live rows only: tasks that wait in a queue with limits, in its order. parked and why as in task_queue.
CREATE TABLE IF NOT EXISTS os.queue_task (
    p_key int NOT NULL,
    task_id bigint NOT NULL,
    queue text NOT NULL,
    priority int NOT NULL,
    parked bool NOT NULL DEFAULT false,
    why text,
    PRIMARY KEY (p_key, task_id)
);

SELECT create_distributed_table('os.queue_task', 'p_key', colocate_with => 'os.counter');

CREATE INDEX IF NOT EXISTS queue_task_order ON os.queue_task (p_key, queue, parked, priority, task_id);

-- Machines and what they are made of. Closing one is an UPDATE of its status.
CREATE TABLE IF NOT EXISTS os.machine (
    machine text PRIMARY KEY,
    host text NOT NULL,
    status text NOT NULL DEFAULT 'up' CHECK (status IN ('up', 'closed')),
    seen_at timestamptz NOT NULL DEFAULT now()
);

SELECT create_reference_table('os.machine');

-- A socket, node, core, memory, accelerator, ...: which one, part of what, how much of it.
CREATE TABLE IF NOT EXISTS os.machine_part (
    machine text NOT NULL,
    kind text NOT NULL,
    number int NOT NULL,
    parent_kind text,
    parent int,
    amount bigint NOT NULL CHECK (amount >= 0),
    name text,
    PRIMARY KEY (machine, kind, number)
);

SELECT create_reference_table('os.machine_part');

-- Named resources of a worker, as os.worker has its cores: unused + what leases hold = amount, always.
CREATE TABLE IF NOT EXISTS os.worker_resource (
    p_key int NOT NULL,
    worker_id bigint NOT NULL,
    resource text NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    unused bigint NOT NULL CHECK (unused >= 0),
    PRIMARY KEY (p_key, worker_id, resource)
);

SELECT create_distributed_table('os.worker_resource', 'p_key', colocate_with => 'os.counter');

-- Tasks that an attempt of a task of the graph added to it.
CREATE TABLE IF NOT EXISTS os.spawned_task (
    p_key int NOT NULL,
    parent_id bigint NOT NULL,
    name text NOT NULL,
    task_id bigint NOT NULL,
    graph_id bigint,
    PRIMARY KEY (p_key, parent_id, name)
);

SELECT create_distributed_table('os.spawned_task', 'p_key', colocate_with => 'os.counter');

CREATE INDEX IF NOT EXISTS spawned_task_by_graph ON os.spawned_task (p_key, graph_id);

-- What a key was used for: the task or graph that a call with the same key gets again.
CREATE TABLE IF NOT EXISTS os.submitted_key (
    p_key int NOT NULL,
    key text NOT NULL,
    id bigint NOT NULL,
    arguments text NOT NULL,
    PRIMARY KEY (p_key, key)
);

SELECT create_distributed_table('os.submitted_key', 'p_key', colocate_with => 'os.counter');

-- A schedule and what it submits. missed: what becomes of times that passed while nobody looked: none (skip), one (once) or all of them.
CREATE TABLE IF NOT EXISTS os.cron (
    p_key int NOT NULL,
    cron text NOT NULL,
    owner text NOT NULL,
    schedule text NOT NULL,
    time_zone text NOT NULL,
    missed text NOT NULL CHECK (missed IN ('skip', 'once', 'all')),
    task jsonb NOT NULL,
    paused bool NOT NULL DEFAULT false,
    next_at timestamptz NOT NULL,
    last_at timestamptz,
    last_id bigint,
    last_error text,
    PRIMARY KEY (p_key, cron)
);

SELECT create_distributed_table('os.cron', 'p_key', colocate_with => 'os.counter');

-- Their parameters or results are others now.
DROP FUNCTION IF EXISTS os.submit_task(int, text, text, text, text[], jsonb, jsonb, jsonb, int, bigint, int, text, int, int, int, bigint, text, int);
DROP FUNCTION IF EXISTS os.submit_graph(int, text, jsonb, bigint);
DROP FUNCTION IF EXISTS os.join_worker(int, bigint, int, bigint, text, int);
DROP FUNCTION IF EXISTS os.claim_tasks(int, bigint, int);
DROP FUNCTION IF EXISTS os.finish_task(int, bigint, int, int, bigint, bigint, bigint);
DROP FUNCTION IF EXISTS os.release_lease(int, bigint);
DROP FUNCTION IF EXISTS os.enqueue_task(int, bigint, int, bigint, text, int);
