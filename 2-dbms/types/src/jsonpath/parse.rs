//! Reads a path (`jsonpath_gram.y`).

use ecow::EcoString;

use super::lexer::{Token, syntax_error, tokens};
use super::{Binary, Head, Item, JsonPath, Method, RegexFlags, Step};
use crate::error::{Result, SqlError};
use crate::numeric::Numeric;
use crate::sqlstate;

/// How deep items may stand in each other.
const MAX_DEPTH: usize = 100;

pub(super) fn parse(text: &str) -> Result<JsonPath> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0, filters: 0, subscripts: 0 };
    if parser.tokens.is_empty() {
        let message = format!("invalid input syntax for type jsonpath: \"{text}\"");
        return Err(SqlError::new(sqlstate::INVALID_TEXT_REPRESENTATION, message));
    }
    let strict = parser.take_word("strict");
    if !strict {
        parser.take_word("lax");
    }
    let root = parser.item()?;
    match parser.at == parser.tokens.len() {
        true => Ok(JsonPath { strict, root }),
        false => Err(parser.error()),
    }
}

struct Parser {
    tokens: Vec<(Token, String)>,
    at: usize,
    depth: usize,
    /// Filters around, in which `@` means something.
    filters: usize,
    /// Subscripts around, in which `last` does.
    subscripts: usize,
}

impl Item {
    fn plain(head: Head) -> Item {
        Item { head, steps: Vec::new() }
    }

    /// Whether it is true, false or unknown rather than items.
    fn is_condition(&self) -> bool {
        self.steps.is_empty()
            && match &self.head {
                Head::Binary(operator, ..) => operator.is_condition(),
                Head::Not(_) | Head::IsUnknown(_) | Head::Exists(_) | Head::LikeRegex { .. } => true,
                _ => false,
            }
    }
}

impl Parser {
    fn error(&self) -> SqlError {
        syntax_error("syntax error", self.tokens.get(self.at).map_or("", |(_, text)| text))
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Some(Token::Sign(found)) if *found == sign)
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let found = self.is_sign(sign);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<()> {
        if self.take_sign(sign) { Ok(()) } else { Err(self.error()) }
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(found)) if found.eq_ignore_ascii_case(word))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    fn string(&mut self) -> Result<EcoString> {
        match self.peek() {
            Some(Token::String(text)) => {
                let text = text.clone();
                self.at += 1;
                Ok(text)
            }
            _ => Err(self.error()),
        }
    }

    /// Anything.
    fn item(&mut self) -> Result<Item> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let message = "stack depth limit exceeded";
            return Err(SqlError::new(sqlstate::STATEMENT_TOO_COMPLEX, message));
        }
        let item = self.joined(Binary::Or);
        self.depth -= 1;
        item
    }

    /// A condition.
    fn condition(&mut self) -> Result<Item> {
        let item = self.item()?;
        if item.is_condition() { Ok(item) } else { Err(self.error()) }
    }

    /// Items, but no condition.
    fn items(&mut self) -> Result<Item> {
        let item = self.item()?;
        if item.is_condition() { Err(self.error()) } else { Ok(item) }
    }

    /// Conditions joined by `||`, or by `&&`.
    fn joined(&mut self, by: Binary) -> Result<Item> {
        let operand = |parser: &mut Self| match by {
            Binary::Or => parser.joined(Binary::And),
            _ => parser.negated(),
        };
        let mut left = operand(self)?;
        while self.is_sign(by.symbol()) {
            if !left.is_condition() {
                return Err(self.error());
            }
            self.at += 1;
            let right = operand(self)?;
            if !right.is_condition() {
                return Err(self.error());
            }
            left = Item::plain(Head::Binary(by, Box::new(left), Box::new(right)));
        }
        Ok(left)
    }

    fn negated(&mut self) -> Result<Item> {
        if !self.take_sign("!") {
            return self.compared();
        }
        let of = if self.is_word("exists") {
            self.exists()?
        } else {
            self.expect("(")?;
            let of = self.condition()?;
            self.expect(")")?;
            of
        };
        Ok(Item::plain(Head::Not(Box::new(of))))
    }

    fn exists(&mut self) -> Result<Item> {
        self.at += 1;
        self.expect("(")?;
        let of = self.items()?;
        self.expect(")")?;
        Ok(Item::plain(Head::Exists(Box::new(of))))
    }

    fn compared(&mut self) -> Result<Item> {
        let followed = matches!(self.tokens.get(self.at + 1), Some((Token::Sign("("), _)));
        if self.is_word("exists") && followed {
            return self.exists();
        }
        let left = self.sum()?;
        if left.is_condition() {
            return Ok(left);
        }
        let operator = match self.peek() {
            Some(Token::Sign("==")) => Binary::Equal,
            Some(Token::Sign("!=" | "<>")) => Binary::NotEqual,
            Some(Token::Sign("<")) => Binary::Less,
            Some(Token::Sign(">")) => Binary::Greater,
            Some(Token::Sign("<=")) => Binary::LessOrEqual,
            Some(Token::Sign(">=")) => Binary::GreaterOrEqual,
            _ if self.is_word("starts") => return self.starts_with(left),
            _ if self.is_word("like_regex") => return self.like_regex(left),
            _ => return Ok(left),
        };
        self.at += 1;
        let right = self.sum()?;
        if right.is_condition() {
            return Err(self.error());
        }
        Ok(Item::plain(Head::Binary(operator, Box::new(left), Box::new(right))))
    }

    fn starts_with(&mut self, left: Item) -> Result<Item> {
        self.at += 1;
        if !self.take_word("with") {
            return Err(self.error());
        }
        let head = match self.peek() {
            Some(Token::String(text)) => Head::String(text.clone()),
            Some(Token::Variable(name)) => Head::Variable(name.clone()),
            _ => return Err(self.error()),
        };
        self.at += 1;
        Ok(Item::plain(Head::Binary(Binary::StartsWith, Box::new(left), Box::new(Item::plain(head)))))
    }

    fn like_regex(&mut self, of: Item) -> Result<Item> {
        self.at += 1;
        let pattern = self.string()?;
        let mut flags = RegexFlags::default();
        if self.take_word("flag") {
            for letter in self.string()?.chars() {
                match letter {
                    'i' => flags.ignore_case = true,
                    's' => flags.dot_all = true,
                    'm' => flags.multi_line = true,
                    'q' => flags.quote = true,
                    'x' => flags.expanded = true,
                    other => {
                        let message = "invalid input syntax for type jsonpath";
                        let detail =
                            format!("Unrecognized flag character \"{other}\" in LIKE_REGEX predicate.");
                        return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).detail(detail));
                    }
                }
            }
        }
        if flags.expanded && !flags.quote {
            let message = "XQuery \"x\" flag (expanded regular expressions) is not implemented";
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
        }
        Ok(Item::plain(Head::LikeRegex { of: Box::new(of), pattern, flags }))
    }

    fn sum(&mut self) -> Result<Item> {
        let mut left = self.product()?;
        loop {
            let operator = match self.peek() {
                Some(Token::Sign("+")) => Binary::Add,
                Some(Token::Sign("-")) => Binary::Subtract,
                _ => return Ok(left),
            };
            left = self.binary(operator, left, Self::product)?;
        }
    }

    fn product(&mut self) -> Result<Item> {
        let mut left = self.signed()?;
        loop {
            let operator = match self.peek() {
                Some(Token::Sign("*")) => Binary::Multiply,
                Some(Token::Sign("/")) => Binary::Divide,
                Some(Token::Sign("%")) => Binary::Modulo,
                _ => return Ok(left),
            };
            left = self.binary(operator, left, Self::signed)?;
        }
    }

    fn binary(
        &mut self,
        operator: Binary,
        left: Item,
        right: impl FnOnce(&mut Self) -> Result<Item>,
    ) -> Result<Item> {
        if left.is_condition() {
            return Err(self.error());
        }
        self.at += 1;
        let right = right(self)?;
        if right.is_condition() {
            return Err(self.error());
        }
        Ok(Item::plain(Head::Binary(operator, Box::new(left), Box::new(right))))
    }

    fn signed(&mut self) -> Result<Item> {
        let minus = self.is_sign("-");
        if !minus && !self.is_sign("+") {
            return self.accessed();
        }
        self.at += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(SqlError::new(sqlstate::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded"));
        }
        let of = self.signed()?;
        self.depth -= 1;
        if of.is_condition() {
            return Err(self.error());
        }
        match of {
            Item { head: Head::Number(number), steps } if steps.is_empty() => {
                let number = if minus { number.neg() } else { number };
                Ok(Item::plain(Head::Number(number)))
            }
            of => Ok(Item::plain(Head::Sign { minus, of: Box::new(of) })),
        }
    }

    /// An item with its steps.
    fn accessed(&mut self) -> Result<Item> {
        let mut item = if self.take_sign("(") {
            let inner = self.item()?;
            self.expect(")")?;
            if inner.is_condition() && self.take_word("is") {
                if !self.take_word("unknown") {
                    return Err(self.error());
                }
                return Ok(Item::plain(Head::IsUnknown(Box::new(inner))));
            }
            inner
        } else {
            Item::plain(self.primary()?)
        };
        while let Some(step) = self.step()? {
            item.steps.push(step);
        }
        Ok(item)
    }

    fn primary(&mut self) -> Result<Head> {
        let head = match self.peek() {
            Some(Token::Sign("$")) => Head::Root,
            Some(Token::Sign("@")) if self.filters == 0 => {
                return Err(SqlError::new(sqlstate::SYNTAX_ERROR, "@ is not allowed in root expressions"));
            }
            Some(Token::Sign("@")) => Head::Current,
            Some(Token::Variable(name)) => Head::Variable(name.clone()),
            Some(Token::String(text)) => Head::String(text.clone()),
            Some(Token::Integer(text) | Token::Number(text)) => Head::Number(Numeric::parse(text)?),
            Some(Token::Word(word)) => match word.as_str() {
                "null" => Head::Null,
                "true" => Head::Bool(true),
                "false" => Head::Bool(false),
                word if word.eq_ignore_ascii_case("last") => {
                    if self.subscripts == 0 {
                        let message = "LAST is allowed only in array subscripts";
                        return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
                    }
                    Head::Last
                }
                _ => return Err(self.error()),
            },
            _ => return Err(self.error()),
        };
        self.at += 1;
        Ok(head)
    }

    fn step(&mut self) -> Result<Option<Step>> {
        if self.take_sign("[") {
            return self.subscript().map(Some);
        }
        if self.take_sign("?") {
            self.expect("(")?;
            self.filters += 1;
            let condition = self.condition()?;
            self.filters -= 1;
            self.expect(")")?;
            return Ok(Some(Step::Filter(Box::new(condition))));
        }
        if !self.take_sign(".") {
            return Ok(None);
        }
        if self.take_sign("*") {
            return Ok(Some(Step::AnyKey));
        }
        if self.take_sign("**") {
            return self.levels().map(Some);
        }
        let (name, quoted) = match self.peek() {
            Some(Token::Word(name)) => (name.clone(), false),
            Some(Token::String(name)) => (name.clone(), true),
            _ => return Err(self.error()),
        };
        self.at += 1;
        if quoted || !self.is_sign("(") {
            return Ok(Some(Step::Key(name)));
        }
        let mut method = match name.to_ascii_lowercase().as_str() {
            "type" => Method::Type,
            "size" => Method::Size,
            "abs" => Method::Abs,
            "floor" => Method::Floor,
            "ceiling" => Method::Ceiling,
            "double" => Method::Double,
            "keyvalue" => Method::KeyValue,
            "datetime" => Method::DateTime(None),
            _ => return Err(self.error()),
        };
        self.expect("(")?;
        if let (Method::DateTime(template), Some(Token::String(_))) =
            (&mut method, self.tokens.get(self.at).map(|(token, _)| token))
        {
            *template = Some(self.string()?);
        }
        self.expect(")")?;
        Ok(Some(Step::Method(method)))
    }

    fn subscript(&mut self) -> Result<Step> {
        if self.is_sign("*") && matches!(self.tokens.get(self.at + 1), Some((Token::Sign("]"), _))) {
            self.at += 2;
            return Ok(Step::AnyElement);
        }
        self.subscripts += 1;
        let mut list = Vec::new();
        loop {
            let from = self.items()?;
            let to = if self.take_word("to") { Some(self.items()?) } else { None };
            list.push((from, to));
            if !self.take_sign(",") {
                break;
            }
        }
        self.subscripts -= 1;
        self.expect("]")?;
        Ok(Step::Elements(list))
    }

    /// `{first to last}` after `**`.
    fn levels(&mut self) -> Result<Step> {
        if !self.take_sign("{") {
            return Ok(Step::Deep(Some(0), None));
        }
        let first = self.level()?;
        let last = if self.take_word("to") { self.level()? } else { first };
        self.expect("}")?;
        Ok(Step::Deep(first, last))
    }

    fn level(&mut self) -> Result<Option<u32>> {
        if self.take_word("last") {
            return Ok(None);
        }
        match self.peek() {
            Some(Token::Integer(digits)) => {
                let level = digits.parse::<u32>().map_err(|_| {
                    let message = format!("value \"{digits}\" is out of range for type integer");
                    SqlError::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, message)
                })?;
                self.at += 1;
                Ok(Some(level))
            }
            _ => Err(self.error()),
        }
    }
}
