-- Tasks, workers, graphs. Every table stands in the bucket of the owner's tasks.

-- The paper's Worker, one row for each bucket that a worker serves. Capacity is in cores; a task takes one unless it says
-- otherwise. unused + what the leases hold = all, always.
CREATE TABLE IF NOT EXISTS os.worker (
    p_key int NOT NULL,
    worker_id bigint NOT NULL,
    unused_capacity int NOT NULL CHECK (unused_capacity >= 0),
    capacity int NOT NULL CHECK (capacity > 0),
    unused_memory bigint NOT NULL CHECK (unused_memory >= 0),
    memory bigint NOT NULL CHECK (memory >= 0),
    status text NOT NULL CHECK (status IN ('up', 'draining', 'left', 'dead')),
    lease_until timestamptz NOT NULL,
    lease_ms int NOT NULL CHECK (lease_ms > 0),
    host text NOT NULL,
    joined_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (p_key, worker_id)
);

SELECT create_distributed_table('os.worker', 'p_key', colocate_with => 'os.counter');

-- The paper's Task: what scheduling looks at and nothing else; 10^8 of these rows fit into 16 GB.
--   waiting    for tasks that it needs                delayed     not before a time: retry, backoff
--   queued     for a worker (worker_id null)          cancelling  its process is being ended
--   assigned   to a worker that has not begun         done, failed, cancelled: final
--   running    claimed under a lease
CREATE TABLE IF NOT EXISTS os.task (
    p_key int NOT NULL,
    task_id bigint NOT NULL,
    worker_id bigint,
    graph_id bigint,
    state text NOT NULL CHECK (state IN ('waiting', 'queued', 'delayed', 'assigned', 'running', 'cancelling',
                                         'done', 'failed', 'cancelled')),
    attempt int NOT NULL DEFAULT 0,
    failures int NOT NULL DEFAULT 0,
    losses int NOT NULL DEFAULT 0,
    waiting_for int NOT NULL DEFAULT 0 CHECK (waiting_for >= 0),
    submitted_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz,
    PRIMARY KEY (p_key, task_id)
);

SELECT create_distributed_table('os.task', 'p_key', colocate_with => 'os.counter');

-- What a task is: written once.
CREATE TABLE IF NOT EXISTS os.task_spec (
    p_key int NOT NULL,
    task_id bigint NOT NULL,
    owner text NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    program text NOT NULL,
    arguments text[] NOT NULL,
    environment jsonb NOT NULL,
    inputs jsonb NOT NULL,
    outputs jsonb NOT NULL,
    cores int NOT NULL CHECK (cores > 0),
    memory bigint NOT NULL CHECK (memory >= 0),
    priority int NOT NULL,
    policy text NOT NULL,
    max_attempts int NOT NULL CHECK (max_attempts > 0),
    backoff_ms int NOT NULL CHECK (backoff_ms >= 0),
    timeout_ms int CHECK (timeout_ms > 0),
    reply_to bigint,
    -- The longest way from a task of the graph that needs nothing; null while a graph is being checked.
    level int,
    PRIMARY KEY (p_key, task_id)
);

SELECT create_distributed_table('os.task_spec', 'p_key', colocate_with => 'os.counter');

-- How each attempt ended. Attempt 0: it ended without ever running.
CREATE TABLE IF NOT EXISTS os.task_result (
    p_key int NOT NULL,
    task_id bigint NOT NULL,
    attempt int NOT NULL CHECK (attempt >= 0),
    outcome text NOT NULL CHECK (outcome IN ('done', 'failed', 'lost', 'cancelled')),
    worker_id bigint,
    exit_code int,
    error text,
    cause_task_id bigint,
    user_time_us bigint,
    system_time_us bigint,
    peak_memory bigint,
    started_at timestamptz,
    finished_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (p_key, task_id, attempt)
);

SELECT create_distributed_table('os.task_result', 'p_key', colocate_with => 'os.counter');

CREATE TABLE IF NOT EXISTS os.task_dependency (
    p_key int NOT NULL,
    task_id bigint NOT NULL,
    needs_id bigint NOT NULL,
    PRIMARY KEY (p_key, task_id, needs_id)
);

SELECT create_distributed_table('os.task_dependency', 'p_key', colocate_with => 'os.counter');

CREATE INDEX IF NOT EXISTS task_dependency_by_task ON os.task_dependency (p_key, task_id);

CREATE INDEX IF NOT EXISTS task_dependency_by_need ON os.task_dependency (p_key, needs_id);

-- Live rows only: tasks that wait for a worker, in the order in which they get one.
-- A parked task is larger than every worker of the bucket; it lets others pass until a larger one joins.
CREATE TABLE IF NOT EXISTS os.task_queue (
    p_key int NOT NULL,
    task_id bigint NOT NULL,
    priority int NOT NULL,
    cores int NOT NULL,
    memory bigint NOT NULL,
    policy text NOT NULL,
    parked bool NOT NULL DEFAULT false,
    PRIMARY KEY (p_key, task_id)
);

SELECT create_distributed_table('os.task_queue', 'p_key', colocate_with => 'os.counter');

CREATE INDEX IF NOT EXISTS task_queue_order ON os.task_queue (p_key, parked, priority, task_id);

-- Live rows only: tasks that hold part of a worker. attempt is 0 until the worker begins.
CREATE TABLE IF NOT EXISTS os.task_lease (
    p_key int NOT NULL,
    task_id bigint NOT NULL,
    worker_id bigint NOT NULL,
    cores int NOT NULL,
    memory bigint NOT NULL,
    attempt int NOT NULL DEFAULT 0,
    lease_until timestamptz,
    PRIMARY KEY (p_key, task_id)
);

SELECT create_distributed_table('os.task_lease', 'p_key', colocate_with => 'os.counter');

CREATE INDEX IF NOT EXISTS task_lease_by_worker ON os.task_lease (p_key, worker_id, attempt, task_id);

-- Live rows only: delayed tasks and when they are due.
CREATE TABLE IF NOT EXISTS os.task_timer (
    p_key int NOT NULL,
    task_id bigint NOT NULL,
    due_at timestamptz NOT NULL,
    PRIMARY KEY (p_key, task_id)
);

SELECT create_distributed_table('os.task_timer', 'p_key', colocate_with => 'os.counter');

CREATE INDEX IF NOT EXISTS task_timer_order ON os.task_timer (p_key, due_at);

-- A graph lives in its owner's bucket, its tasks too. Their identifiers are first_task_id and up in steps of 64.
CREATE TABLE IF NOT EXISTS os.graph (
    p_key int NOT NULL,
    graph_id bigint NOT NULL,
    owner text NOT NULL,
    name text NOT NULL,
    state text NOT NULL CHECK (state IN ('running', 'done', 'failed', 'cancelled')),
    first_task_id bigint NOT NULL,
    tasks int NOT NULL CHECK (tasks > 0),
    done int NOT NULL DEFAULT 0,
    failed int NOT NULL DEFAULT 0,
    cancelled int NOT NULL DEFAULT 0,
    submitted_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    PRIMARY KEY (p_key, graph_id)
);

SELECT create_distributed_table('os.graph', 'p_key', colocate_with => 'os.counter');
