//! Conditions: true, false or unknown (`executeBoolItem`, `executePredicate`).

use std::cmp::Ordering;

use tuplix_types::jsonb::Jsonb;
use tuplix_types::jsonpath::{Binary, Head, Item, RegexFlags};
use tuplix_types::{Value, compare_typed};

use super::super::regex;
use super::evaluate::{Evaluation, Found, Run, Stop};

/// `None` is unknown.
type Truth = Option<bool>;

impl<'a> Evaluation<'a> {
    pub(super) fn truth(&mut self, item: &'a Item) -> Run<Truth> {
        self.head_truth(&item.head)
    }

    pub(super) fn head_truth(&mut self, head: &'a Head) -> Run<Truth> {
        match head {
            Head::Binary(Binary::And, left, right) => Ok(match self.truth(left)? {
                Some(false) => Some(false),
                left => match self.truth(right)? {
                    Some(true) => left,
                    right => right,
                },
            }),
            Head::Binary(Binary::Or, left, right) => Ok(match self.truth(left)? {
                Some(true) => Some(true),
                left => match self.truth(right)? {
                    Some(false) => left,
                    right => right,
                },
            }),
            Head::Not(of) => Ok(self.truth(of)?.map(|truth| !truth)),
            Head::IsUnknown(of) => Ok(Some(self.truth(of)?.is_none())),
            Head::Exists(of) => {
                let mut found = Vec::new();
                Ok(match self.anything(of, &mut found) {
                    Ok(()) => Some(!found.is_empty()),
                    // In lax mode the first item is enough.
                    Err(Stop::Soft(_)) if self.lax && !found.is_empty() => Some(true),
                    Err(Stop::Soft(_)) => None,
                    Err(hard) => return Err(hard),
                })
            }
            Head::LikeRegex { of, pattern, flags } => {
                let Some(values) = self.quietly(of, true)? else { return Ok(None) };
                self.any(&values, &[None], &mut |value, _| like(value, pattern, *flags))
            }
            Head::Binary(Binary::StartsWith, left, right) => {
                let Some((left, right)) = self.operands(left, right, false)? else { return Ok(None) };
                self.any(&left, &right, &mut |whole, start| {
                    Ok(match (whole, start) {
                        (Jsonb::String(whole), Some(Jsonb::String(start))) => {
                            Some(whole.starts_with(start.as_str()))
                        }
                        _ => None,
                    })
                })
            }
            Head::Binary(operator, left, right) => {
                let Some((left, right)) = self.operands(left, right, true)? else { return Ok(None) };
                self.any(&left, &right, &mut |left, right| {
                    Ok(right.and_then(|right| compared(*operator, left, right)))
                })
            }
            _ => Ok(None),
        }
    }

    /// What an item finds; `None` when it fails.
    fn quietly(&mut self, item: &'a Item, unwrap: bool) -> Run<Option<Vec<Found<'a>>>> {
        match self.unwrapped(item, unwrap) {
            Ok(found) => Ok(Some(found)),
            Err(Stop::Soft(_)) => Ok(None),
            Err(hard) => Err(hard),
        }
    }

    #[allow(clippy::type_complexity)]
    fn operands(
        &mut self,
        left: &'a Item,
        right: &'a Item,
        unwrap_right: bool,
    ) -> Run<Option<(Vec<Found<'a>>, Vec<Option<Found<'a>>>)>> {
        let Some(left) = self.quietly(left, true)? else { return Ok(None) };
        let Some(right) = self.quietly(right, unwrap_right)? else { return Ok(None) };
        Ok(Some((left, right.into_iter().map(Some).collect())))
    }

    /// Whether the test holds for any pair.
    fn any(
        &mut self,
        left: &[Found<'a>],
        right: &[Option<Found<'a>>],
        test: &mut dyn FnMut(&Jsonb, Option<&Jsonb>) -> Run<Truth>,
    ) -> Run<Truth> {
        let (mut found, mut unknown) = (false, false);
        for left in left {
            for right in right {
                match test(left, right.as_deref())? {
                    None if !self.lax => return Ok(None),
                    None => unknown = true,
                    Some(true) if self.lax => return Ok(Some(true)),
                    Some(true) => found = true,
                    Some(false) => {}
                }
            }
        }
        Ok(if found {
            Some(true)
        } else if unknown {
            None
        } else {
            Some(false)
        })
    }
}

fn compared(operator: Binary, left: &Jsonb, right: &Jsonb) -> Truth {
    let order = match (left, right) {
        (Jsonb::Null, Jsonb::Null) => Ordering::Equal,
        (Jsonb::Bool(left), Jsonb::Bool(right)) => left.cmp(right),
        (Jsonb::Number(left), Jsonb::Number(right)) => {
            let value = |number: &tuplix_types::Numeric| Value::Numeric(number.clone().into());
            compare_typed(tuplix_types::TypeId::NUMERIC, &value(left), &value(right))
        }
        (Jsonb::String(left), Jsonb::String(right)) => left.as_bytes().cmp(right.as_bytes()),
        // Null is another value than all others.
        (Jsonb::Null, _) | (_, Jsonb::Null) => return Some(operator == Binary::NotEqual),
        _ => return None,
    };
    Some(match operator {
        Binary::Equal => order.is_eq(),
        Binary::NotEqual => order.is_ne(),
        Binary::Less => order.is_lt(),
        Binary::Greater => order.is_gt(),
        Binary::LessOrEqual => order.is_le(),
        _ => order.is_ge(),
    })
}

fn like(value: &Jsonb, pattern: &str, flags: RegexFlags) -> Run<Truth> {
    let Jsonb::String(text) = value else { return Ok(None) };
    let flags = regex::Flags {
        ignore_case: flags.ignore_case,
        literal: flags.quote,
        newline_stops: !flags.quote && !flags.dot_all,
        newline_anchors: !flags.quote && flags.multi_line,
        ..regex::Flags::default()
    };
    regex::is_match(text, pattern, flags).map(Some).map_err(Stop::Hard)
}
