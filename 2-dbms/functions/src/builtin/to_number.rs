//! `to_number`: the digits, point and sign that a text has where a template says (`formatting.c`).
//!
//! Template and text are gone through side by side. What the template has beside its patterns stands for one character of
//! the text, whichever it is; a `9` or `0` takes a digit when there is one.

use tuplix_types::numeric::make_typmod;
use tuplix_types::{Numeric, Result, Value};

use super::Scalars;
use super::args::text;
use super::to_char_number::{Element, Sign, Template};

struct Reader<'t> {
    template: &'t Template,
    rest: Vec<char>,
    at: usize,
    sign: Option<char>,
    digits: String,
    before: usize,
    after: usize,
    point: bool,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    /// `9`, `0` and the point: whatever of sign, digit and point is there.
    fn number(&mut self, element: Element) {
        if self.peek() == Some(' ') {
            self.at += 1;
        }
        let is_digit = matches!(element, Element::Nine | Element::Zero);
        if self.sign.is_none() && is_digit && self.before + self.after == 0 {
            self.leading_sign();
        }
        let Some(c) = self.peek() else { return };
        let mut is_read = false;
        if c.is_ascii_digit() {
            if self.point && self.after == self.template.after {
                return;
            }
            self.digits.push(c);
            *(if self.point { &mut self.after } else { &mut self.before }) += 1;
            is_read = true;
        } else if self.template.point && !self.point && c == '.' {
            self.digits.push('.');
            (self.point, is_read) = (true, true);
        }
        if self.sign.is_none() && self.before + self.after > 0 {
            self.trailing_sign(c, is_read);
        }
    }

    fn leading_sign(&mut self) {
        let brackets = self.template.sign == Sign::Brackets;
        match self.peek() {
            Some('-') => self.sign = Some('-'),
            Some('<') if brackets => self.sign = Some('-'),
            Some('+') => self.sign = Some('+'),
            _ => return,
        }
        self.at += 1;
    }

    /// `S` stands right behind the last digit, `MI` anywhere behind it.
    fn trailing_sign(&mut self, c: char, is_read: bool) {
        let anchored = matches!(self.template.sign, Sign::Before | Sign::After);
        if anchored {
            let next = self.rest.get(self.at + 1).copied().filter(|_| is_read);
            if let Some(sign @ ('-' | '+')) = next {
                self.sign = Some(sign);
                self.at += 1;
            }
        } else if !is_read && self.template.sign == Sign::Minus && matches!(c, '-' | '+') {
            self.sign = Some(c);
        }
    }

    fn run(mut self) -> String {
        for element in &self.template.elements {
            let Some(c) = self.peek() else { break };
            match element {
                Element::Nine | Element::Zero | Element::Point => self.number(*element),
                Element::Comma if !self.template.fill || c != ',' => continue,
                Element::Comma | Element::Other(_) => {}
                Element::Minus if c == '-' => self.sign = Some('-'),
                Element::Minus if "0123456789.,+".contains(c) => continue,
                Element::Minus => {}
                Element::Silent => continue,
            }
            self.at += 1;
        }
        let digits = self.digits.strip_suffix('.').unwrap_or(&self.digits);
        format!("{}{digits}", self.sign.unwrap_or(' '))
    }
}

fn to_number(a: &[Value]) -> Result<Value> {
    let written = text(a, 1)?;
    if written.is_empty() {
        return Ok(Value::Null);
    }
    let template = Template::parse(written)?;
    let reader = Reader {
        template: &template,
        rest: text(a, 0)?.chars().collect(),
        at: 0,
        sign: None,
        digits: String::new(),
        before: 0,
        after: 0,
        point: false,
    };
    let number = reader.run();
    let value = Numeric::parse(&number)?;
    let scale = number.split_once('.').map_or(0, |(_, after)| after.len());
    let typmod = make_typmod((template.before + scale) as i32, scale as i32)?;
    Ok(Value::Numeric(value.with_typmod(typmod)?.into()))
}

pub(crate) const FUNCTIONS: Scalars = &[("numeric_to_number", |_, a| to_number(a))];
