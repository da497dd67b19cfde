-- receive_messages for people at a prompt: the next message of a name, as text.
CREATE OR REPLACE FUNCTION os.receive(receiver text)
RETURNS TABLE (message_id bigint, sender_id bigint, body text, sent_at timestamptz)
LANGUAGE sql AS $$
    SELECT r.message_id, r.sender_id, convert_from(r.data, 'UTF8'), r.sent_at
      FROM os.receive_messages(os.bucket(os.address(receiver)), os.address(receiver), 1) r
$$;
