//! Date and time arithmetic, line by line of `data/datetime.txt`.

use std::sync::Arc;

use tuplix_types::datetime::{self, Field, TimeZone};
use tuplix_types::{Interval, IoContext, Numeric, Result, TypeId, Value, parse_text, text_io};

struct Machine {
    ctx: IoContext,
}

impl Machine {
    fn timestamp(&self, text: &str) -> Result<i64> {
        datetime::parse_timestamp(text, -1, &self.ctx)
    }

    fn interval(&self, text: &str) -> Result<Interval> {
        datetime::parse_interval(text, -1)
    }

    fn date(&self, text: &str) -> Result<i32> {
        datetime::parse_date(text, &self.ctx)
    }

    fn shown(&self, value: Value) -> String {
        let mut out = String::new();
        text_io::format_value(&value, &self.ctx, &mut out);
        out
    }

    fn apply(&self, operation: &str, left: &str, right: &str) -> Result<String> {
        let field = || Field::parse(left).unwrap();
        let float = || right.parse::<f64>().unwrap();
        let optional = |number: Option<Numeric>| number.map_or("NULL".into(), |number| number.to_string());
        let interval = |value: Interval| Value::Interval(Arc::new(value));
        let value = match operation {
            "ts+iv" => Value::Timestamp(datetime::add_interval_to_timestamp(
                self.timestamp(left)?,
                &self.interval(right)?,
            )?),
            "ts-iv" => Value::Timestamp(datetime::subtract_interval_from_timestamp(
                self.timestamp(left)?,
                &self.interval(right)?,
            )?),
            "ts-ts" => interval(datetime::interval_between(self.timestamp(left)?, self.timestamp(right)?)?),
            "age" => interval(datetime::age(self.timestamp(left)?, self.timestamp(right)?)?),
            "trunc_ts" => Value::Timestamp(datetime::date_trunc(field(), self.timestamp(right)?)?),
            "trunc_iv" => interval(datetime::date_trunc_interval(field(), &self.interval(right)?)?),
            "ts_date" => Value::Date(datetime::timestamp_to_date(self.timestamp(left)?)),
            "date_ts" => Value::Timestamp(datetime::date_to_timestamp(self.date(left)?)?),
            "date+" => Value::Date(datetime::date_plus_days(self.date(left)?, right.parse().unwrap())?),
            "time+iv" => {
                let time = datetime::parse_time(left, -1, &self.ctx)?;
                Value::Time(datetime::add_interval_to_time(time, &self.interval(right)?))
            }
            "extract_ts" => {
                return Ok(optional(datetime::extract_timestamp(field(), self.timestamp(right)?)?));
            }
            "extract_tz" => {
                let micros = datetime::parse_timestamptz(right, -1, &self.ctx)?;
                return Ok(optional(datetime::extract_timestamptz(field(), micros, self.ctx.zone)?));
            }
            "extract_date" => return Ok(optional(datetime::extract_date(field(), self.date(right)?)?)),
            "extract_time" => {
                let time = datetime::parse_time(right, -1, &self.ctx)?;
                return Ok(datetime::extract_time(field(), time)?.to_string());
            }
            "extract_iv" => {
                return Ok(datetime::extract_interval(field(), &self.interval(right)?)?.to_string());
            }
            "iv*" => interval(self.interval(left)?.multiply(float())?),
            "iv/" => interval(self.interval(left)?.divide(float())?),
            "iv+" => interval(self.interval(left)?.add(&self.interval(right)?)?),
            "iv-" => interval(self.interval(left)?.subtract(&self.interval(right)?)?),
            "iv<" => return Ok((self.interval(left)?.span() < self.interval(right)?.span()).to_string()),
            "iv=" => return Ok((self.interval(left)?.span() == self.interval(right)?.span()).to_string()),
            "justify_hours" => interval(self.interval(left)?.justify_hours()?),
            "justify_days" => interval(self.interval(left)?.justify_days()?),
            _ => panic!("unknown operation {operation}"),
        };
        Ok(self.shown(value))
    }
}

#[test]
fn every_line_computes_as_postgresql_does() {
    let machine = Machine {
        ctx: IoContext { zone: TimeZone::parse("<+05:30>-05:30").unwrap(), ..IoContext::default() },
    };
    let mut wrong = Vec::new();
    for line in include_str!("data/datetime.txt").lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [operation, left, right, expected] = fields[..] else { panic!("bad line {line}") };
        let actual = match machine.apply(operation, left, right) {
            Ok(text) => format!("={text}"),
            Err(error) => format!("!{} {}", error.sqlstate(), error.message()),
        };
        if actual != expected {
            wrong.push(format!("{operation} {left} {right}\n    expected {expected}\n    actual   {actual}"));
        }
    }
    assert!(wrong.is_empty(), "{} lines differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Texts are those of PostgreSQL 15 after `SET TimeZone = ...`.
#[test]
fn zones_show_and_shift_as_postgresql_does() {
    for (setting, shown, text) in [
        ("UTC", "UTC", "2023-01-02 03:04:05+00"),
        ("2", "<+02>-02", "2023-01-02 05:04:05+02"),
        ("-5.5", "<-05:30>+05:30", "2023-01-01 21:34:05-05:30"),
        ("<+05:30>-05:30", "<+05:30>-05:30", "2023-01-02 08:34:05+05:30"),
    ] {
        let zone = TimeZone::parse(setting).unwrap();
        let ctx = IoContext { zone, ..IoContext::default() };
        let value = parse_text(TypeId::TIMESTAMPTZ, -1, "2023-01-02 03:04:05Z", &ctx).unwrap();
        assert_eq!(zone.to_string(), shown);
        assert_eq!(text_io::to_text(TypeId::TIMESTAMPTZ, &value, &ctx), text);
    }
    assert_eq!(TimeZone::parse("europe/berlin").unwrap().to_string(), "Europe/Berlin");
    assert_eq!(TimeZone::parse("ABC5DEF,M3.2.0,M11.1.0").unwrap_err().sqlstate().as_str(), "0A000");
    assert_eq!(TimeZone::parse("Nowhere/City").unwrap_err().sqlstate().as_str(), "22023");
    assert_eq!(TimeZone::parse("no zone!").unwrap_err().sqlstate().as_str(), "22023");
}
