-- Who $1 is, where a name is known: a user, or a mailbox that was opened with one.
SELECT coalesce((SELECT min(u.user_name) FROM os.user u WHERE os.address(u.user_name) = $1),
                (SELECT m.name FROM os.mailbox m WHERE m.p_key = os.bucket($1::bigint) AND m.receiver_id = $1),
                $1::bigint::text) AS sender
