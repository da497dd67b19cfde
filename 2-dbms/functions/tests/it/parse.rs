//! A small parser for expressions: literals, casts, calls, operators, arrays.

/// An expression.
#[derive(Clone, Debug)]
pub enum Node {
    /// `'text'` without a type.
    Literal(String),
    /// `1`, `1.5`
    Number(String),
    /// `true`, `false`
    Bool(bool),
    /// `null`
    Null,
    /// `x`: the row's value in an aggregate.
    Variable,
    /// `node::type`
    Cast(Box<Node>, String),
    /// `name(args)`; names of named arguments; whether the last is VARIADIC.
    Call(String, Vec<Node>, Vec<String>, bool),
    /// `left op right` or `op right`
    Operator(String, Option<Box<Node>>, Box<Node>),
    /// `ARRAY[...]`
    Array(Vec<Node>),
}

/// The rest of a text while it is read.
pub struct Parser<'t> {
    rest: &'t str,
}

const OPERATOR_CHARACTERS: &str = "+-*/<>=~!@#%^&|?`";

impl<'t> Parser<'t> {
    /// Reads a whole expression.
    pub fn parse(text: &'t str) -> Node {
        let mut parser = Parser { rest: text };
        let node = parser.binary(0);
        assert!(parser.rest.trim().is_empty(), "left over: {}", parser.rest);
        node
    }

    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, text: &str) -> bool {
        self.skip();
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, text: &str) {
        assert!(self.take(text), "expected {text} before {}", self.rest);
    }

    fn operator(&mut self) -> Option<&'t str> {
        self.skip();
        let end = self.rest.find(|c| !OPERATOR_CHARACTERS.contains(c)).unwrap_or(self.rest.len());
        let mut operator = &self.rest[..end];
        if operator.starts_with("=>") {
            return None;
        }
        // A sign at the end belongs to the operand unless the operator has unusual characters.
        while operator.len() > 1
            && operator.ends_with(['+', '-'])
            && !operator.contains(['~', '!', '@', '#', '%', '^', '&', '|', '`', '?'])
        {
            operator = &operator[..operator.len() - 1];
        }
        (!operator.is_empty()).then_some(operator)
    }

    fn binary(&mut self, least: u32) -> Node {
        let mut left = self.unary();
        while let Some(operator) = self.operator() {
            let level = match operator {
                "<" | ">" | "=" | "<=" | ">=" | "<>" | "!=" => 1,
                "+" | "-" => 3,
                "*" | "/" | "%" => 4,
                "^" => 5,
                _ => 2,
            };
            if level <= least {
                break;
            }
            self.rest = &self.rest[operator.len()..];
            let right = self.binary(level);
            left = Node::Operator(operator.to_owned(), Some(Box::new(left)), Box::new(right));
        }
        left
    }

    fn unary(&mut self) -> Node {
        if let Some(operator) = self.operator() {
            self.rest = &self.rest[operator.len()..];
            let operand = self.unary();
            if let (Node::Number(digits), "-") = (&operand, operator) {
                return Node::Number(format!("-{digits}"));
            }
            return Node::Operator(operator.to_owned(), None, Box::new(operand));
        }
        let mut node = self.primary();
        while self.take("::") {
            let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
            let mut name = self.rest[..end].to_owned();
            self.rest = &self.rest[end..];
            if self.take("[]") {
                name.insert(0, '_');
            }
            node = Node::Cast(Box::new(node), name);
        }
        node
    }

    fn primary(&mut self) -> Node {
        if self.take("(") {
            let node = self.binary(0);
            self.expect(")");
            return node;
        }
        if self.take("'") {
            return Node::Literal(self.quoted());
        }
        if self.rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            let mut end =
                self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(self.rest.len());
            if self.rest[..end].ends_with('e') {
                let exponent = self.rest[end + 1..].find(|c: char| !c.is_ascii_digit());
                end = exponent.map_or(self.rest.len(), |length| end + 1 + length);
            }
            let number = self.rest[..end].to_owned();
            self.rest = &self.rest[end..];
            return Node::Number(number);
        }
        self.take("pg_catalog.");
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let word = &self.rest[..end];
        assert!(!word.is_empty(), "what is {}", self.rest);
        self.rest = &self.rest[end..];
        match word {
            "true" | "false" => Node::Bool(word == "true"),
            "null" => Node::Null,
            "x" => Node::Variable,
            "array" => {
                self.expect("[");
                Node::Array(self.list("]").0)
            }
            name => {
                self.expect("(");
                let (args, names, variadic) = self.list(")");
                Node::Call(name.to_owned(), args, names, variadic)
            }
        }
    }

    fn quoted(&mut self) -> String {
        let mut text = String::new();
        loop {
            let end = self.rest.find('\'').expect("an end of the literal");
            text.push_str(&self.rest[..end]);
            self.rest = &self.rest[end + 1..];
            match self.rest.strip_prefix('\'') {
                Some(rest) => {
                    text.push('\'');
                    self.rest = rest;
                }
                None => return text,
            }
        }
    }

    fn list(&mut self, close: &str) -> (Vec<Node>, Vec<String>, bool) {
        let (mut nodes, mut names, mut variadic) = (Vec::new(), Vec::new(), false);
        if self.take(close) || self.take("*)") {
            return (nodes, names, variadic);
        }
        loop {
            variadic |= self.take("variadic ");
            self.skip();
            if let Some((name, rest)) = self.rest.split_once("=>")
                && name.trim().chars().all(|c| c.is_alphanumeric() || c == '_')
            {
                names.push(name.trim().to_owned());
                self.rest = rest;
            }
            nodes.push(self.binary(0));
            if self.take(close) {
                return (nodes, names, variadic);
            }
            self.expect(",");
        }
    }
}
