-- What clients call: each touches the bucket p and no other. os.add_user writes two.
SELECT create_distributed_function('os.create_file(int, text, text, int, bool, int, bigint)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.make_directory(int, text, text, int, bool, bigint)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.remove_file(int, text)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.remove_directory(int, text)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.remove_tree(int, text)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.rename_file(int, text, text)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.stat_file(int, text)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.list_directory(int, text)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.list_tree(int, text)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.write_blocks(int, bigint, bigint[], bytea[], text, bigint, bigint)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.read_blocks(int, bigint, bigint[])', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.read_many_blocks(int, bigint[], bigint[])', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.write_file(int, bigint, bigint, bytea, text, bigint)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.read_file(int, bigint, bigint, int)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.truncate_file(int, bigint, bigint, text, bigint)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.put_file(int, text, bytea, text, bigint)', 'p', colocate_with => 'os.counter', force_delegation => true);
SELECT create_distributed_function('os.get_file(int, text)', 'p', colocate_with => 'os.counter', force_delegation => true);
