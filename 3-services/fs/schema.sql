-- Files: entries of directories point to files, files have blocks. All of a tree stands in one bucket.

-- One row a file or directory (an inode). Its bytes are localized: in the own bucket, in os.file_block; or parallel: spread
-- over all buckets, in os.parallel_file.
CREATE TABLE IF NOT EXISTS os.file (
    p_key int NOT NULL,
    file_id bigint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('file', 'directory', 'symlink')),
    layout text NOT NULL DEFAULT 'localized' CHECK (layout IN ('localized', 'parallel')),
    f_size bigint NOT NULL DEFAULT 0 CHECK (f_size >= 0),
    block_size int NOT NULL CHECK (block_size BETWEEN 512 AND 1048576),
    version bigint NOT NULL DEFAULT 1,
    mode int NOT NULL,
    f_owner text NOT NULL,
    links int NOT NULL DEFAULT 1 CHECK (links >= 0),
    -- Of a directory: its parent, null at the root, and how many entries it has.
    parent_id bigint,
    entries int NOT NULL DEFAULT 0 CHECK (entries >= 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    modified_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    -- Who wrote this version.
    writer_task_id bigint,
    writer text NOT NULL,
    PRIMARY KEY (p_key, file_id)
);

SELECT create_distributed_table('os.file', 'p_key', colocate_with => 'os.counter');

-- The paper's Directory: names. A file_id of another bucket is a mount point: that bucket's tree goes on there.
CREATE TABLE IF NOT EXISTS os.directory (
    p_key int NOT NULL,
    directory_id bigint NOT NULL,
    d_name text NOT NULL,
    file_id bigint NOT NULL,
    kind text NOT NULL,
    PRIMARY KEY (p_key, directory_id, d_name)
);

SELECT create_distributed_table('os.directory', 'p_key', colocate_with => 'os.counter');

CREATE INDEX IF NOT EXISTS directory_entries ON os.directory (p_key, directory_id, d_name);

-- The paper's Localized_file. A missing block, and what a short one lacks, reads as zeros; none lies beyond f_size.
CREATE TABLE IF NOT EXISTS os.file_block (
    p_key int NOT NULL,
    file_id bigint NOT NULL,
    block_no bigint NOT NULL CHECK (block_no >= 0),
    bytes bytea NOT NULL,
    PRIMARY KEY (p_key, file_id, block_no)
);

SELECT create_distributed_table('os.file_block', 'p_key', colocate_with => 'os.counter');

-- The paper's Parallel_file: p_key is (the file's bucket + block_no) modulo 64. No procedure writes it yet.
CREATE TABLE IF NOT EXISTS os.parallel_file (
    p_key int NOT NULL,
    file_id bigint NOT NULL,
    block_no bigint NOT NULL CHECK (block_no >= 0),
    bytes bytea NOT NULL,
    PRIMARY KEY (p_key, file_id, block_no)
);

SELECT create_distributed_table('os.parallel_file', 'p_key', colocate_with => 'os.counter');

-- Each bucket has a root; its identifier is the bucket's number.
INSERT INTO os.file (p_key, file_id, kind, block_size, mode, f_owner, writer)
SELECT bucket, bucket, 'directory', 8192, 493, 'root', 'root' FROM generate_series(0, 63) bucket
ON CONFLICT DO NOTHING;
