//! `jsonpath`: SQL/JSON paths (`jsonpath.h`). A value of the type is kept as its text in PostgreSQL's own spelling.

mod lexer;
mod parse;
mod print;

use ecow::EcoString;

use crate::error::Result;
use crate::numeric::Numeric;

/// A path.
#[derive(Clone, Debug)]
pub struct JsonPath {
    /// `strict` rather than `lax`.
    pub strict: bool,
    /// What it computes.
    pub root: Item,
}

/// Something with the steps that go on from it.
#[derive(Clone, Debug)]
pub struct Item {
    /// Where it begins.
    pub head: Head,
    /// The steps.
    pub steps: Vec<Step>,
}

/// Where an item begins.
#[derive(Clone, Debug)]
pub enum Head {
    /// `$`
    Root,
    /// `@`
    Current,
    /// `last`
    Last,
    /// `$name`
    Variable(EcoString),
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number.
    Number(Numeric),
    /// A string.
    String(EcoString),
    /// Two operands.
    Binary(Binary, Box<Item>, Box<Item>),
    /// `+x`, `-x`
    Sign {
        /// `-`
        minus: bool,
        /// The operand.
        of: Box<Item>,
    },
    /// `!(x)`
    Not(Box<Item>),
    /// `(x) is unknown`
    IsUnknown(Box<Item>),
    /// `exists (x)`
    Exists(Box<Item>),
    /// `x like_regex "pattern" flag "flags"`
    LikeRegex {
        /// What is tested.
        of: Box<Item>,
        /// The pattern.
        pattern: EcoString,
        /// Flags.
        flags: RegexFlags,
    },
}

/// Flags of `like_regex`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegexFlags {
    /// `i`
    pub ignore_case: bool,
    /// `s`
    pub dot_all: bool,
    /// `m`
    pub multi_line: bool,
    /// `x`, only beside `q`, which makes it mean nothing.
    pub expanded: bool,
    /// `q`
    pub quote: bool,
}

/// An operator of two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// `||`
    Or,
    /// `&&`
    And,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `>`
    Greater,
    /// `<=`
    LessOrEqual,
    /// `>=`
    GreaterOrEqual,
    /// `starts with`
    StartsWith,
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Modulo,
}

/// A step from one item to others.
#[derive(Clone, Debug)]
pub enum Step {
    /// `.key`
    Key(EcoString),
    /// `.*`
    AnyKey,
    /// `[*]`
    AnyElement,
    /// `[a, b to c]`
    Elements(Vec<(Item, Option<Item>)>),
    /// `.**{first to last}`; `None` is `last`.
    Deep(Option<u32>, Option<u32>),
    /// `?(condition)`
    Filter(Box<Item>),
    /// `.method()`
    Method(Method),
}

/// A method.
#[derive(Clone, Debug)]
pub enum Method {
    /// `.type()`
    Type,
    /// `.size()`
    Size,
    /// `.abs()`
    Abs,
    /// `.floor()`
    Floor,
    /// `.ceiling()`
    Ceiling,
    /// `.double()`
    Double,
    /// `.keyvalue()`
    KeyValue,
    /// `.datetime(template)`
    DateTime(Option<EcoString>),
}

impl Method {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Method::Type => "type",
            Method::Size => "size",
            Method::Abs => "abs",
            Method::Floor => "floor",
            Method::Ceiling => "ceiling",
            Method::Double => "double",
            Method::KeyValue => "keyvalue",
            Method::DateTime(_) => "datetime",
        }
    }
}

impl Binary {
    /// How it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            Binary::Or => "||",
            Binary::And => "&&",
            Binary::Equal => "==",
            Binary::NotEqual => "!=",
            Binary::Less => "<",
            Binary::Greater => ">",
            Binary::LessOrEqual => "<=",
            Binary::GreaterOrEqual => ">=",
            Binary::StartsWith => "starts with",
            Binary::Add => "+",
            Binary::Subtract => "-",
            Binary::Multiply => "*",
            Binary::Divide => "/",
            Binary::Modulo => "%",
        }
    }

    /// Whether its value is true, false or unknown.
    pub fn is_condition(self) -> bool {
        self <= Binary::StartsWith
    }
}

impl PartialOrd for Binary {
    fn partial_cmp(&self, other: &Binary) -> Option<std::cmp::Ordering> {
        (*self as u8).partial_cmp(&(*other as u8))
    }
}

impl JsonPath {
    /// The path that a text spells.
    ///
    /// # Errors
    /// 42601 and 22P02 for what is no path.
    pub fn parse(text: &str) -> Result<JsonPath> {
        parse::parse(text)
    }

    /// Its text.
    pub fn text(&self) -> String {
        print::text(self)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::JsonPath;

    const SAMPLES: [&str; 5] = [
        r#"strict $.a[*, 1 to last] ? (@.b == "x\u00e9" && !(@ > -1.5e3)).**{2 to last}.size()"#,
        r#"($foo + $"b\\ar" * 2).type() /* é */"#,
        r#"exists ($ ? (@ like_regex "^a" flag "isq")) || ($.c starts with "d") is unknown"#,
        r#"$.datetime("HH24").keyvalue() ? ((@.é > 1e-3) is unknown)"#,
        r#"-+-$[last - 1]."\x41\u{1F600}\ud83d\ude00""#,
    ];

    #[test]
    fn a_path_is_the_path_of_its_text() {
        for sample in SAMPLES {
            // `*` stands alone in its brackets, `last` in some.
            let Ok(path) = JsonPath::parse(sample) else { continue };
            let text = path.text();
            assert_eq!(JsonPath::parse(&text).unwrap().text(), text);
        }
        assert!(SAMPLES[1..].iter().all(|sample| JsonPath::parse(sample).is_ok()));
    }

    #[test]
    fn cut_and_changed_texts_are_refused_or_read() {
        for sample in SAMPLES {
            let characters: Vec<char> = sample.chars().collect();
            for place in 0..characters.len() {
                let cut: String = characters[..place].iter().collect();
                drop(JsonPath::parse(&cut));
                for instead in ['"', '\\', '$', '(', ')', '[', '.', '0', 'é'] {
                    let mut changed = characters.clone();
                    changed[place] = instead;
                    drop(JsonPath::parse(&changed.iter().collect::<String>()));
                }
            }
        }
    }

    #[test]
    fn nesting_is_bounded() {
        for text in ["(".repeat(100_000), "-".repeat(100_000), "$[".repeat(100_000), "!(".repeat(100_000)] {
            assert!(JsonPath::parse(&text).is_err());
        }
    }
}
