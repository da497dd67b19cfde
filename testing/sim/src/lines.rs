//! Events as lines of text: how a process that is about to be killed tells what it did.

use crate::history::{Event, Id, Level, Outcome, Seen};

/// The line of an event; `None` for notes, which are for people.
pub fn to_line(event: &Event) -> Option<String> {
    Some(match event {
        Event::Begin { number, client, level } => format!("begin {number} {client} {}", level_word(*level)),
        Event::Write { id } => format!("write {id}"),
        Event::Undo { id } => format!("undo {id}"),
        Event::Place { id, list, position } => format!("place {id} {list} {position}"),
        Event::Read { number, list, seen, durable } => {
            let what = if matches!(seen, Seen::All(_)) { "all" } else { "last" };
            let ids: Vec<String> = seen.ids().iter().map(u64::to_string).collect();
            format!("read {number} {list} {durable} {what} {}", ids.join(" ")).trim_end().to_owned()
        }
        Event::End { number, outcome, durable } => {
            let word = match outcome {
                Outcome::Committed => "committed",
                Outcome::Aborted => "aborted",
                Outcome::Unknown => "unknown",
            };
            format!("end {number} {word} {durable}")
        }
        Event::Note { .. } => return None,
    })
}

fn level_word(level: Level) -> &'static str {
    match level {
        Level::OneShot => "one-shot",
        Level::ReadCommitted => "read-committed",
        Level::RepeatableRead => "repeatable-read",
        Level::Serializable => "serializable",
    }
}

/// The event of a line; `None` when it is not one.
pub fn from_line(line: &str) -> Option<Event> {
    let mut words = line.split(' ');
    let kind = words.next()?;
    let event = match kind {
        "begin" => Event::Begin {
            number: words.next()?.parse().ok()?,
            client: words.next()?.parse().ok()?,
            level: match words.next()? {
                "one-shot" => Level::OneShot,
                "read-committed" => Level::ReadCommitted,
                "repeatable-read" => Level::RepeatableRead,
                "serializable" => Level::Serializable,
                _ => return None,
            },
        },
        "write" => Event::Write { id: words.next()?.parse().ok()? },
        "undo" => Event::Undo { id: words.next()?.parse().ok()? },
        "place" => Event::Place {
            id: words.next()?.parse().ok()?,
            list: words.next()?.parse().ok()?,
            position: words.next()?.parse().ok()?,
        },
        "read" => {
            let (number, list) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            let durable = words.next()?.parse().ok()?;
            let all = words.next()? == "all";
            let ids: Vec<Id> = words.by_ref().map(|word| word.parse().ok()).collect::<Option<_>>()?;
            let seen = if all { Seen::All(ids) } else { Seen::Last(ids.first().copied()) };
            Event::Read { number, list, seen, durable }
        }
        "end" => Event::End {
            number: words.next()?.parse().ok()?,
            outcome: match words.next()? {
                "committed" => Outcome::Committed,
                "aborted" => Outcome::Aborted,
                "unknown" => Outcome::Unknown,
                _ => return None,
            },
            durable: words.next()?.parse().ok()?,
        },
        _ => return None,
    };
    words.next().is_none().then_some(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_survive_the_pipe() {
        let events = [
            Event::Begin { number: 7, client: 1, level: Level::Serializable },
            Event::Write { id: 224 },
            Event::Undo { id: 224 },
            Event::Place { id: 224, list: 3, position: 9 },
            Event::Read { number: 7, list: 3, seen: Seen::All(vec![1, 2]), durable: true },
            Event::Read { number: 7, list: 3, seen: Seen::All(vec![]), durable: false },
            Event::Read { number: 7, list: 3, seen: Seen::Last(None), durable: false },
            Event::Read { number: 7, list: 3, seen: Seen::Last(Some(4)), durable: false },
            Event::End { number: 7, outcome: Outcome::Aborted, durable: false },
        ];
        for event in events {
            assert_eq!(to_line(&event).and_then(|line| from_line(&line)), Some(event));
        }
        assert_eq!(from_line("end 7 comm"), None);
        assert_eq!(from_line("write 12 3"), None);
    }
}
