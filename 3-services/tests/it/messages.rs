//! Messages: order, bounds, once.

use tuplix::Session;
use tuplix_services::ipc::Ipc;
use tuplix_services::{ReceiverId, errors, os};

use crate::engines::{both, refused, rows};

const ALICE: ReceiverId = ReceiverId(64 + 5);
const BOB: ReceiverId = ReceiverId(128 + 5);
const CAROL: ReceiverId = ReceiverId(64 + 6);

fn received(
    session: &mut Session,
    ipc: &Ipc,
    receiver: ReceiverId,
    count: i32,
    from: Option<ReceiverId>,
) -> Vec<String> {
    let messages = ipc.receive(session, receiver, count, from).unwrap();
    let text = |data: &[u8]| String::from_utf8(data.to_vec()).unwrap();
    messages.iter().map(|message| format!("{}:{}", message.number, text(&message.data))).collect()
}

#[test]
fn messages_arrive_in_order_and_once() {
    both(|_, session| {
        let ipc = Ipc::new(session).unwrap();
        assert_eq!(received(session, &ipc, ALICE, 10, None), [""; 0]);
        for (number, text) in ["a", "b", "c", ""].into_iter().enumerate() {
            let from = if text == "b" { CAROL } else { BOB };
            assert_eq!(ipc.send(session, from, ALICE, text.as_bytes(), None).unwrap(), number as i64 + 1);
        }
        assert_eq!(ipc.send(session, BOB, CAROL, b"other", None).unwrap(), 1);
        assert_eq!(received(session, &ipc, ALICE, 1, None), ["1:a"]);
        assert_eq!(received(session, &ipc, ALICE, 9, Some(BOB)), ["3:c", "4:"]);
        assert_eq!(received(session, &ipc, ALICE, 9, None), ["2:b"]);
        assert_eq!(received(session, &ipc, ALICE, 9, None), [""; 0]);
        // In flight and received: who wrote to whom is a query.
        let pairs = "SELECT sender_id, receiver_id, count(*), sum(waits)
                       FROM (SELECT sender_id, receiver_id, 1 AS waits FROM os.message
                             UNION ALL SELECT sender_id, receiver_id, 0 FROM os.message_history) m
                      GROUP BY 1, 2 ORDER BY 1, 2";
        assert_eq!(rows(session, pairs), ["70|69|1|0", "133|69|3|0", "133|70|1|1"]);
    });
}

#[test]
fn a_message_is_consumed_with_its_effect() {
    both(|_, session| {
        let ipc = Ipc::new(session).unwrap();
        ipc.send(session, BOB, ALICE, b"once", None).unwrap();
        session.execute("BEGIN").unwrap();
        assert_eq!(received(session, &ipc, ALICE, 9, None), ["1:once"]);
        session.execute("ROLLBACK").unwrap();
        session.execute("BEGIN").unwrap();
        assert_eq!(received(session, &ipc, ALICE, 9, None), ["1:once"]);
        ipc.send(session, ALICE, BOB, b"done", None).unwrap();
        session.execute("COMMIT").unwrap();
        assert_eq!(received(session, &ipc, ALICE, 9, None), [""; 0]);
        assert_eq!(received(session, &ipc, BOB, 9, None), ["1:done"]);
    });
}

#[test]
fn a_message_sent_again_is_the_one_sent_before() {
    both(|_, session| {
        let ipc = Ipc::new(session).unwrap();
        assert_eq!(ipc.send(session, BOB, ALICE, b"x", Some("k1")).unwrap(), 1);
        assert_eq!(ipc.send(session, BOB, ALICE, b"x", Some("k1")).unwrap(), 1);
        assert_eq!(ipc.send(session, BOB, ALICE, b"y", Some("k2")).unwrap(), 2);
        assert_eq!(ipc.send(session, CAROL, ALICE, b"z", Some("k1")).unwrap(), 3);
        assert_eq!(received(session, &ipc, ALICE, 9, None), ["1:x", "2:y", "3:z"]);
        assert_eq!(ipc.send(session, BOB, ALICE, b"x", Some("k1")).unwrap(), 1);
        assert_eq!(received(session, &ipc, ALICE, 9, None), [""; 0]);
        // What history forgot is a new message.
        os::set(session, "ipc.history_ms", -1000).unwrap();
        assert_eq!(ipc.sweep(session, ALICE.bucket()).unwrap(), 3);
        assert_eq!(ipc.send(session, BOB, ALICE, b"x", Some("k1")).unwrap(), 4);
    });
}

#[test]
fn full_mailboxes_and_large_messages_refuse() {
    both(|_, session| {
        let ipc = Ipc::new(session).unwrap();
        ipc.open_mailbox(session, ALICE, Some("alice"), Some(2)).unwrap();
        ipc.send(session, BOB, ALICE, b"1", None).unwrap();
        ipc.send(session, BOB, ALICE, b"2", Some("k")).unwrap();
        refused(ipc.send(session, BOB, ALICE, b"3", None), errors::MAILBOX_FULL);
        assert_eq!(ipc.send(session, BOB, ALICE, b"2", Some("k")).unwrap(), 2);
        assert_eq!(received(session, &ipc, ALICE, 1, None), ["1:1"]);
        assert_eq!(ipc.send(session, BOB, ALICE, b"3", None).unwrap(), 3);
        os::set(session, "ipc.messages_max", 1).unwrap();
        ipc.send(session, BOB, CAROL, b"1", None).unwrap();
        refused(ipc.send(session, BOB, CAROL, b"2", None), errors::MAILBOX_FULL);
        os::set(session, "ipc.message_bytes_max", 4).unwrap();
        refused(ipc.send(session, BOB, BOB, b"12345", None), errors::MESSAGE_TOO_LARGE);
        os::set(session, "ipc.mailbox_bytes_max", 5).unwrap();
        os::set(session, "ipc.messages_max", 9).unwrap();
        ipc.send(session, ALICE, BOB, b"1234", None).unwrap();
        refused(ipc.send(session, ALICE, BOB, b"12", None), errors::MAILBOX_FULL);
        let wrong = session.query("SELECT os.send_message(6, 1, 5, 'x')", &[]);
        refused(wrong, errors::WRONG_BUCKET);
        let wrong = session.query("SELECT os.open_mailbox(6, 5)", &[]);
        refused(wrong, errors::WRONG_BUCKET);
    });
}

#[test]
fn people_send_by_name() {
    both(|_, session| {
        assert_eq!(rows(session, "SELECT os.send('alice', 'wordcount/reduce', 'map 1 is done')"), ["1"]);
        let received = "SELECT message_id, body FROM os.receive('wordcount/reduce')";
        assert_eq!(rows(session, received), ["1|map 1 is done"]);
        assert_eq!(rows(session, received), [""; 0]);
    });
}

#[test]
fn senders_under_one_key_send_one_message() {
    both(|engine, session| {
        let numbers = std::thread::scope(|scope| {
            let senders: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(move || {
                        let mut session = engine.session();
                        let ipc = Ipc::new(&mut session).unwrap();
                        let mut send =
                            |key: &str| ipc.send(&mut session, BOB, ALICE, b"x", Some(key)).unwrap();
                        (0..10).map(|n| send(&format!("k{n}"))).collect::<Vec<_>>()
                    })
                })
                .collect();
            senders.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(numbers.iter().all(|one| *one == numbers[0]), "{numbers:?}");
        assert_eq!(rows(session, "SELECT waiting, last_message_id FROM os.mailbox"), ["10|10"]);
    });
}

#[test]
fn many_senders_and_receivers_lose_and_double_nothing() {
    both(|engine, session| {
        const SENDERS: i64 = 4;
        const EACH: i64 = 50;
        let total = (SENDERS * EACH) as usize;
        let got = std::thread::scope(|scope| {
            for sender in 0..SENDERS {
                scope.spawn(move || {
                    let mut session = engine.session();
                    let ipc = Ipc::new(&mut session).unwrap();
                    for number in 0..EACH {
                        let text = format!("{sender} {number}");
                        ipc.send(&mut session, ReceiverId(sender), ALICE, text.as_bytes(), None).unwrap();
                    }
                });
            }
            let receivers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(move || {
                        let mut session = engine.session();
                        let ipc = Ipc::new(&mut session).unwrap();
                        let mut got = Vec::new();
                        while rows(&mut session, "SELECT count(*) FROM os.message_history")
                            != [total.to_string()]
                        {
                            got.extend(ipc.receive(&mut session, ALICE, 7, None).unwrap());
                        }
                        got
                    })
                })
                .collect();
            receivers.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        // Each receiver sees each sender's messages in order; together they see each once.
        for one in &got {
            for sender in 0..SENDERS {
                let numbers: Vec<_> = one.iter().filter(|m| m.sender.0 == sender).map(|m| m.number).collect();
                assert!(numbers.is_sorted(), "{numbers:?}");
            }
        }
        let mut all: Vec<String> =
            got.iter().flatten().map(|m| String::from_utf8(m.data.to_vec()).unwrap()).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), total);
        assert_eq!(got.iter().map(Vec::len).sum::<usize>(), total);
        assert_eq!(rows(session, "SELECT waiting, last_message_id FROM os.mailbox"), [format!("0|{total}")]);
    });
}
