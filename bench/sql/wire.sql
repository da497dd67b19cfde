-- What `wire` asks beside the FIFO scheduler: records to select, and what a transaction of three statements changes.
CREATE TABLE record (
    p_key integer NOT NULL,
    id bigint NOT NULL,
    name text NOT NULL,
    balance bigint NOT NULL,
    PRIMARY KEY (p_key, id)
);
CREATE TABLE history (
    p_key integer NOT NULL,
    id bigint NOT NULL,
    change bigint NOT NULL,
    PRIMARY KEY (p_key, id)
);
SELECT create_distributed_table('record', 'p_key');
SELECT create_distributed_table('history', 'p_key');
INSERT INTO record SELECT i % 64, i, 'record ' || i, 0 FROM generate_series(0, 99999) i;
