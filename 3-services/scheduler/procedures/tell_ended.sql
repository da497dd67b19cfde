-- Sends the messages that tasks' submitters asked for. Internal.
CREATE OR REPLACE FUNCTION os.tell_ended(p int, tasks bigint[], final_state text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT s.task_id, s.reply_to FROM os.task_spec s
                WHERE s.p_key = p AND s.task_id = ANY (tasks) AND s.reply_to IS NOT NULL ORDER BY s.task_id
    LOOP
        PERFORM os.post_message(p, one.task_id, one.reply_to,
            convert_to(jsonb_build_object('task', one.task_id, 'state', final_state)::text, 'UTF8'));
    END LOOP;
END
$$;
