-- What clients call: each touches the bucket p and no other. os.send and os.receive find the bucket themselves.
SELECT create_distributed_function('os.send_message(int, bigint, bigint, bytea, text)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.receive_messages(int, bigint, int, bigint)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.open_mailbox(int, bigint, text, int)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.sweep_messages(int)', 'p', colocate_with => 'os.counter', force_delegation => true);
