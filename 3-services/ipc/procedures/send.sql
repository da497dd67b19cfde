-- send_message for people at a prompt: names and text. Finds the bucket itself, so it is no single-bucket procedure.
CREATE OR REPLACE FUNCTION os.send(sender text, receiver text, body text) RETURNS bigint
LANGUAGE sql AS $$
    SELECT os.send_message(os.bucket(os.address(receiver)), os.address(sender), os.address(receiver), convert_to(body, 'UTF8'))
$$;
