-- Each row is something wrong: the invariant's name and what breaks it.

SELECT 'mailbox_counts_messages' AS name,
       format('mailbox %s says %s messages of %s bytes wait; %s of %s do', b.receiver_id, b.waiting, b.waiting_bytes, x.messages, x.bytes)
           AS detail
  FROM os.mailbox b
  JOIN (SELECT y.p_key, y.receiver_id, count(m.message_id) AS messages, coalesce(sum(length(m.data)), 0) AS bytes
          FROM os.mailbox y LEFT JOIN os.message m ON m.p_key = y.p_key AND m.receiver_id = y.receiver_id
         GROUP BY y.p_key, y.receiver_id) x ON x.p_key = b.p_key AND x.receiver_id = b.receiver_id
 WHERE b.waiting <> x.messages OR b.waiting_bytes <> x.bytes

UNION ALL

SELECT 'message_has_mailbox', format('message %s of receiver %s has no mailbox, or is ahead of it', m.message_id, m.receiver_id)
  FROM os.message m LEFT JOIN os.mailbox b ON b.p_key = m.p_key AND b.receiver_id = m.receiver_id
 WHERE b.receiver_id IS NULL OR m.message_id > b.last_message_id

UNION ALL

SELECT 'received_once', format('message %s of receiver %s waits and was received', m.message_id, m.receiver_id)
  FROM os.message m JOIN os.message_history h
    ON h.p_key = m.p_key AND h.receiver_id = m.receiver_id AND h.message_id = m.message_id

UNION ALL

SELECT 'message_in_bucket', format('message %s of receiver %s stands in bucket %s', m.message_id, m.receiver_id, m.p_key)
  FROM os.message m
 WHERE m.p_key <> os.bucket(m.receiver_id)
