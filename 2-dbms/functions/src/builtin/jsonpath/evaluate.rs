//! Items and the steps between them (`executeItemOptUnwrapTarget`).

use std::borrow::Cow;

use ecow::EcoString;
use tuplix_types::jsonb::Jsonb;
use tuplix_types::jsonpath::{Binary, Head, Item, JsonPath, Method, Step};
use tuplix_types::{Numeric, SqlError, SqlState, sqlstate};

/// 2203A
const MEMBER_NOT_FOUND: SqlState = SqlState(*b"2203A");
/// 22039
const ARRAY_NOT_FOUND: SqlState = SqlState(*b"22039");
/// 2203C
const OBJECT_NOT_FOUND: SqlState = SqlState(*b"2203C");
/// 22033
const INVALID_SUBSCRIPT: SqlState = SqlState(*b"22033");

/// The most steps of one evaluation, which nobody can interrupt: some `.**` in a row take ever so many.
const STEPS_MAX: u32 = 10_000_000;

/// Why an evaluation ended.
pub(super) enum Stop {
    /// What `silent` and conditions suppress.
    Soft(SqlError),
    Hard(SqlError),
}

/// An outcome.
pub(super) type Run<T> = std::result::Result<T, Stop>;

/// A value of the document, or one that was computed.
pub(super) type Found<'a> = Cow<'a, Jsonb>;

pub(super) fn soft<T>(code: SqlState, message: impl Into<String>) -> Run<T> {
    Err(Stop::Soft(SqlError::new(code, message)))
}

/// One evaluation.
pub(super) struct Evaluation<'a> {
    path: &'a JsonPath,
    document: &'a Jsonb,
    variables: &'a Jsonb,
    /// `@`
    pub(super) current: Found<'a>,
    /// How long the array is whose subscripts are computed.
    array: Option<usize>,
    pub(super) lax: bool,
    /// Members and elements that are not there are no error.
    forgiving: bool,
    steps_left: u32,
}

/// Takes one child after the other.
fn children(of: Found<'_>) -> Vec<Found<'_>> {
    match of {
        Cow::Borrowed(Jsonb::Array(items)) => items.iter().map(Cow::Borrowed).collect(),
        Cow::Borrowed(Jsonb::Object(members)) => {
            members.iter().map(|(_, value)| Cow::Borrowed(value)).collect()
        }
        Cow::Owned(Jsonb::Array(items)) => items.into_iter().map(Cow::Owned).collect(),
        Cow::Owned(Jsonb::Object(members)) => {
            members.into_iter().map(|(_, value)| Cow::Owned(value)).collect()
        }
        _ => Vec::new(),
    }
}

fn member<'a>(of: &Found<'a>, key: &str) -> Option<Found<'a>> {
    match of {
        Cow::Borrowed(value) => value.get(key).map(Cow::Borrowed),
        Cow::Owned(value) => value.get(key).cloned().map(Cow::Owned),
    }
}

impl<'a> Evaluation<'a> {
    pub(super) fn new(path: &'a JsonPath, document: &'a Jsonb, variables: &'a Jsonb) -> Evaluation<'a> {
        let (current, lax) = (Cow::Borrowed(document), !path.strict);
        Evaluation {
            path,
            document,
            variables,
            current,
            array: None,
            lax,
            forgiving: lax,
            steps_left: STEPS_MAX,
        }
    }

    /// Puts what the path finds into `found`, also what it found before an error.
    pub(super) fn run(&mut self, exists: bool, found: &mut Vec<Found<'a>>) -> Run<()> {
        let path = self.path;
        if exists { self.anything(&path.root, found) } else { self.item(&path.root, found) }
    }

    /// As [`Self::item`] for somebody who asks only whether there is anything: in lax mode what has no sign is left out then.
    pub(super) fn anything(&mut self, item: &'a Item, found: &mut Vec<Found<'a>>) -> Run<()> {
        match &item.head {
            Head::Sign { of, .. } if self.lax && item.steps.is_empty() => {
                let values = self.unwrapped(of, true)?;
                found.extend(values.into_iter().filter(|value| matches!(**value, Jsonb::Number(_))));
                Ok(())
            }
            _ => self.item(item, found),
        }
    }

    pub(super) fn item(&mut self, item: &'a Item, found: &mut Vec<Found<'a>>) -> Run<()> {
        let steps = &item.steps[..];
        let value = match &item.head {
            Head::Root => Cow::Borrowed(self.document),
            Head::Current => self.current.clone(),
            Head::Last => match self.array {
                Some(length) => Cow::Owned(number(length as i64 - 1)),
                None => return Err(Stop::Hard(SqlError::internal("last outside of a subscript"))),
            },
            Head::Variable(name) => match self.variables.get(name) {
                Some(value) => Cow::Borrowed(value),
                None => {
                    let message = format!("could not find jsonpath variable \"{name}\"");
                    return Err(Stop::Hard(SqlError::new(sqlstate::UNDEFINED_OBJECT, message)));
                }
            },
            Head::Null => Cow::Owned(Jsonb::Null),
            Head::Bool(value) => Cow::Owned(Jsonb::Bool(*value)),
            Head::Number(value) => Cow::Owned(Jsonb::Number(value.clone())),
            Head::String(value) => Cow::Owned(Jsonb::String(value.clone())),
            Head::Binary(operator, left, right) if !operator.is_condition() => {
                Cow::Owned(self.arithmetic(*operator, left, right)?)
            }
            Head::Sign { minus, of } => return self.signs(*minus, of, steps, found),
            Head::Binary(..)
            | Head::Not(_)
            | Head::IsUnknown(_)
            | Head::Exists(_)
            | Head::LikeRegex { .. } => {
                let truth = self.head_truth(&item.head)?;
                Cow::Owned(truth.map_or(Jsonb::Null, Jsonb::Bool))
            }
        };
        self.go_on(steps, value, found)
    }

    /// What an item finds; in lax mode the elements of arrays in their place.
    pub(super) fn unwrapped(&mut self, item: &'a Item, unwrap: bool) -> Run<Vec<Found<'a>>> {
        let mut found = Vec::new();
        self.item(item, &mut found)?;
        if !(unwrap && self.lax) {
            return Ok(found);
        }
        let elements = |value: Found<'a>| match *value {
            Jsonb::Array(_) => children(value),
            _ => vec![value],
        };
        Ok(found.into_iter().flat_map(elements).collect())
    }

    pub(super) fn go_on(
        &mut self,
        steps: &'a [Step],
        value: Found<'a>,
        found: &mut Vec<Found<'a>>,
    ) -> Run<()> {
        let unwrap = self.lax;
        self.step(steps, value, unwrap, found)
    }

    fn each(
        &mut self,
        steps: &'a [Step],
        values: Vec<Found<'a>>,
        unwrap: bool,
        found: &mut Vec<Found<'a>>,
    ) -> Run<()> {
        values.into_iter().try_for_each(|value| self.step(steps, value, unwrap, found))
    }

    /// One step and those behind it. `unwrap`: an array stands for its elements where the step wants none.
    fn step(
        &mut self,
        steps: &'a [Step],
        value: Found<'a>,
        unwrap: bool,
        found: &mut Vec<Found<'a>>,
    ) -> Run<()> {
        let Some(left) = self.steps_left.checked_sub(1) else {
            let message = format!("a jsonpath takes more than {STEPS_MAX} steps");
            return Err(Stop::Hard(SqlError::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, message)));
        };
        self.steps_left = left;
        let Some((step, rest)) = steps.split_first() else {
            found.push(value);
            return Ok(());
        };
        let is_array = matches!(*value, Jsonb::Array(_));
        let takes_arrays = matches!(
            step,
            Step::AnyElement | Step::Elements(_) | Step::Deep(..) | Step::Method(Method::Type | Method::Size)
        );
        if unwrap && is_array && !takes_arrays {
            return self.each(steps, children(value), false, found);
        }
        match step {
            Step::Key(key) => match &*value {
                Jsonb::Object(_) => match member(&value, key) {
                    Some(value) => self.go_on(rest, value, found),
                    None if self.forgiving => Ok(()),
                    None => soft(MEMBER_NOT_FOUND, format!("JSON object does not contain key \"{key}\"")),
                },
                _ if self.forgiving => Ok(()),
                _ => soft(MEMBER_NOT_FOUND, "jsonpath member accessor can only be applied to an object"),
            },
            Step::AnyKey => match &*value {
                Jsonb::Object(_) => {
                    let unwrap = self.lax;
                    self.each(rest, children(value), unwrap, found)
                }
                _ if self.forgiving => Ok(()),
                _ => soft(
                    OBJECT_NOT_FOUND,
                    "jsonpath wildcard member accessor can only be applied to an object",
                ),
            },
            Step::AnyElement if is_array => {
                let unwrap = self.lax;
                self.each(rest, children(value), unwrap, found)
            }
            Step::AnyElement if self.lax => self.go_on(rest, value, found),
            Step::AnyElement if self.forgiving => Ok(()),
            Step::AnyElement => {
                soft(ARRAY_NOT_FOUND, "jsonpath wildcard array accessor can only be applied to an array")
            }
            Step::Elements(list) if is_array || self.lax => self.elements(list, rest, value, found),
            Step::Elements(_) if self.forgiving => Ok(()),
            Step::Elements(_) => {
                soft(ARRAY_NOT_FOUND, "jsonpath array accessor can only be applied to an array")
            }
            Step::Deep(first, last) => self.deep_from(*first, *last, rest, value, found),
            Step::Filter(condition) => {
                let before = std::mem::replace(&mut self.current, value.clone());
                let truth = self.truth(condition);
                self.current = before;
                if truth? == Some(true) { self.go_on(rest, value, found) } else { Ok(()) }
            }
            Step::Method(method) => match self.method(method, value)? {
                Answer::One(value) => self.go_on(rest, value, found),
                Answer::Many(values) => {
                    let unwrap = self.lax;
                    self.each(rest, values, unwrap, found)
                }
            },
        }
    }

    /// `[a, b to c]`
    fn elements(
        &mut self,
        list: &'a [(Item, Option<Item>)],
        rest: &'a [Step],
        value: Found<'a>,
        found: &mut Vec<Found<'a>>,
    ) -> Run<()> {
        let elements = if matches!(*value, Jsonb::Array(_)) { children(value) } else { vec![value] };
        let size = elements.len() as i64;
        let outer = self.array.replace(elements.len());
        let outcome = list.iter().try_for_each(|(from, to)| {
            let first = self.index(from)?;
            let last = match to {
                Some(to) => self.index(to)?,
                None => first,
            };
            if !self.forgiving && (first < 0 || first > last || last >= size) {
                return soft(INVALID_SUBSCRIPT, "jsonpath array subscript is out of bounds");
            }
            for place in first.max(0)..=last.min(size - 1) {
                self.go_on(rest, elements[place as usize].clone(), found)?;
            }
            Ok(())
        });
        self.array = outer;
        outcome
    }

    fn index(&mut self, item: &'a Item) -> Run<i64> {
        let mut found = Vec::new();
        self.item(item, &mut found)?;
        let [value] = &found[..] else {
            return soft(INVALID_SUBSCRIPT, "jsonpath array subscript is not a single numeric value");
        };
        let Jsonb::Number(number) = &**value else {
            return soft(INVALID_SUBSCRIPT, "jsonpath array subscript is not a single numeric value");
        };
        match number.trunc(0).and_then(|number| number.to_i32()) {
            Ok(index) => Ok(i64::from(index)),
            Err(_) => soft(INVALID_SUBSCRIPT, "jsonpath array subscript is out of integer range"),
        }
    }

    /// `.**{first to last}`
    fn deep_from(
        &mut self,
        first: Option<u32>,
        last: Option<u32>,
        rest: &'a [Step],
        value: Found<'a>,
        found: &mut Vec<Found<'a>>,
    ) -> Run<()> {
        let forgiving = std::mem::replace(&mut self.forgiving, true);
        let mut outcome = Ok(());
        if first == Some(0) {
            outcome = self.go_on(rest, value.clone(), found);
        }
        if outcome.is_ok() {
            let levels = (first.unwrap_or(u32::MAX), last.unwrap_or(u32::MAX));
            outcome = self.deep(levels, 1, rest, value, found);
        }
        self.forgiving = forgiving;
        outcome
    }

    fn deep(
        &mut self,
        (first, last): (u32, u32),
        level: u32,
        rest: &'a [Step],
        value: Found<'a>,
        found: &mut Vec<Found<'a>>,
    ) -> Run<()> {
        if level > last {
            return Ok(());
        }
        for child in children(value) {
            let inner = matches!(*child, Jsonb::Array(_) | Jsonb::Object(_));
            let only_last = first == u32::MAX && last == u32::MAX;
            if level >= first || (only_last && !inner) {
                self.go_on(rest, child.clone(), found)?;
            }
            if level < last && inner {
                self.deep((first, last), level + 1, rest, child, found)?;
            }
        }
        Ok(())
    }

    fn method(&mut self, method: &Method, value: Found<'a>) -> Run<Answer<'a>> {
        let name = method.name();
        let answer = match method {
            Method::Type => Jsonb::String(value.type_name().into()),
            Method::Size => match &*value {
                Jsonb::Array(items) => number(items.len() as i64),
                _ if self.lax => number(1),
                _ if self.forgiving => return Ok(Answer::Many(Vec::new())),
                _ => {
                    let message = format!("jsonpath item method .{name}() can only be applied to an array");
                    return soft(ARRAY_NOT_FOUND, message);
                }
            },
            Method::Abs | Method::Floor | Method::Ceiling => super::number::rounded(method, &value)?,
            Method::Double => super::number::double(&value)?,
            Method::KeyValue => return self.key_values(&value),
            Method::DateTime(_) => {
                return Err(Stop::Hard(SqlError::unsupported("the jsonpath item method .datetime()")));
            }
        };
        Ok(Answer::One(Cow::Owned(answer)))
    }

    /// An object for each member. `id` is the object's place in its document, 0 for the document itself.
    fn key_values(&self, value: &Found<'a>) -> Run<Answer<'a>> {
        let Jsonb::Object(members) = &**value else {
            let message = "jsonpath item method .keyvalue() can only be applied to an object";
            return soft(OBJECT_NOT_FOUND, message);
        };
        if !std::ptr::eq(&raw const **value, self.document) && !members.is_empty() {
            let what = "the jsonpath item method .keyvalue() of another object than the whole document";
            return Err(Stop::Hard(SqlError::unsupported(what)));
        }
        let pair = |(key, value): &(EcoString, Jsonb)| {
            Cow::Owned(Jsonb::object(vec![
                ("id".into(), number(0)),
                ("key".into(), Jsonb::String(key.clone())),
                ("value".into(), value.clone()),
            ]))
        };
        Ok(Answer::Many(members.iter().map(pair).collect()))
    }

    fn arithmetic(&mut self, operator: Binary, left: &'a Item, right: &'a Item) -> Run<Jsonb> {
        let left = self.unwrapped(left, true)?;
        let right = self.unwrapped(right, true)?;
        super::number::arithmetic(operator, &left, &right)
    }

    fn signs(&mut self, minus: bool, of: &'a Item, steps: &'a [Step], found: &mut Vec<Found<'a>>) -> Run<()> {
        for value in self.unwrapped(of, true)? {
            let Jsonb::Number(number) = &*value else {
                let sign = if minus { '-' } else { '+' };
                let message = format!("operand of unary jsonpath operator {sign} is not a numeric value");
                return soft(SqlState(*b"2203B"), message);
            };
            let value = if minus { Cow::Owned(Jsonb::Number(number.neg())) } else { value };
            self.go_on(steps, value, found)?;
        }
        Ok(())
    }
}

/// What a method gives.
enum Answer<'a> {
    One(Found<'a>),
    Many(Vec<Found<'a>>),
}

fn number(value: i64) -> Jsonb {
    Jsonb::Number(Numeric::from(value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn steps_are_bounded() {
        let document = Jsonb::parse(&format!("{}1{}", "[".repeat(100), "]".repeat(100))).unwrap();
        let none = Jsonb::Object(Vec::new());
        let path = JsonPath::parse("$.**.**.**.**.**.**.** ? (@ == 2)").unwrap();
        let outcome = Evaluation::new(&path, &document, &none).run(false, &mut Vec::new());
        assert!(matches!(outcome, Err(Stop::Hard(error)) if error.sqlstate().as_str() == "54000"));
    }
}
