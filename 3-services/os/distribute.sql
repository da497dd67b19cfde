SELECT create_distributed_function('os.next_ids(int, text, int)', 'p', colocate_with => 'os.counter');
