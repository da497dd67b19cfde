-- Tasks that were larger than every worker of a bucket may fit now. Internal; a drain follows.
CREATE OR REPLACE FUNCTION os.unpark_tasks(p int) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE os.task_queue q SET parked = false WHERE q.p_key = p AND q.parked = true AND q.why IS NULL;
    UPDATE os.queue_task q SET parked = false WHERE q.p_key = p AND q.parked = true AND q.why IS NULL;
END
$$;
