-- Messages, in the bucket of their receiver.

-- One row a receiver, made by the first message. Its lock puts senders in order; its counts bound what waits.
CREATE TABLE IF NOT EXISTS os.mailbox (
    p_key int NOT NULL,
    receiver_id bigint NOT NULL,
    name text,
    waiting int NOT NULL DEFAULT 0 CHECK (waiting >= 0),
    waiting_bytes bigint NOT NULL DEFAULT 0 CHECK (waiting_bytes >= 0),
    last_message_id bigint NOT NULL DEFAULT 0,
    messages_max int CHECK (messages_max >= 0),
    PRIMARY KEY (p_key, receiver_id)
);

SELECT create_distributed_table('os.mailbox', 'p_key', colocate_with => 'os.counter');

-- The paper's Message. message_id counts the receiver's messages: 1, 2, 3, in the order of commits.
CREATE TABLE IF NOT EXISTS os.message (
    p_key int NOT NULL,
    sender_id bigint NOT NULL,
    receiver_id bigint NOT NULL,
    message_id bigint NOT NULL,
    data bytea NOT NULL,
    idempotency_key text,
    sent_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (p_key, receiver_id, message_id),
    UNIQUE (p_key, receiver_id, sender_id, idempotency_key)
);

SELECT create_distributed_table('os.message', 'p_key', colocate_with => 'os.counter');

CREATE INDEX IF NOT EXISTS message_order ON os.message (p_key, receiver_id, message_id);

-- Messages that were received, for as long as the setting ipc.history_ms says.
CREATE TABLE IF NOT EXISTS os.message_history (
    p_key int NOT NULL,
    sender_id bigint NOT NULL,
    receiver_id bigint NOT NULL,
    message_id bigint NOT NULL,
    data bytea NOT NULL,
    idempotency_key text,
    sent_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (p_key, receiver_id, message_id),
    UNIQUE (p_key, receiver_id, sender_id, idempotency_key)
);

SELECT create_distributed_table('os.message_history', 'p_key', colocate_with => 'os.counter');

CREATE INDEX IF NOT EXISTS message_history_by_time ON os.message_history (p_key, received_at);
