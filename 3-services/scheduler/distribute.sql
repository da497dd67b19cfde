-- What clients call: each touches the bucket p and no other, so Citus hands it to the node that owns the bucket.
SELECT create_distributed_function('os.schedule_fifo(int, bigint, int, bigint)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.schedule_locality(int, bigint, int, bigint)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.schedule_least_loaded(int, bigint, int, bigint)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.submit_task(int, text, text, text, text[], jsonb, jsonb, jsonb, int, bigint, int, text, int, int, int, bigint, text, int)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.submit_graph(int, text, jsonb, bigint)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.drain_queue(int)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.claim_tasks(int, bigint, int)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.heartbeat_worker(int, bigint)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.heartbeat_task(int, bigint, int)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.finish_task(int, bigint, int, int, bigint, bigint, bigint)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.fail_task(int, bigint, int, text, int, bigint, bigint, bigint, bool)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.return_task(int, bigint, int, text)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.retry_task(int, bigint)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.cancel_task(int, bigint, text)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.cancel_graph(int, bigint, text)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.join_worker(int, bigint, int, bigint, text, int)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.leave_worker(int, bigint)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.tick_scheduler(int)', 'p', colocate_with => 'os.counter', force_delegation => true);
