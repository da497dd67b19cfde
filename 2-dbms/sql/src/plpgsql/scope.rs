//! The names and labels that a body declares, as far as its own text tells.
//!
//! The parser needs little of it: labels for `EXIT` and `CONTINUE`, declared cursors for the forms
//! that only they have, and duplicate declarations. What a name means otherwise, parameters
//! included, is for the analyzer.

/// What a declared name is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Any variable or alias.
    Variable,
    /// A cursor declared with its query, and the names of its arguments.
    BoundCursor(Vec<String>),
    /// A variable of type `refcursor`.
    Cursor,
}

/// What a label stands before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScopeKind {
    Block,
    Loop,
}

/// One block or loop.
struct Scope {
    kind: ScopeKind,
    label: Option<String>,
    names: Vec<(String, Known)>,
}

/// The scopes around the statement being parsed, innermost last.
#[derive(Default)]
pub(super) struct Scopes(Vec<Scope>);

impl Scopes {
    pub fn push(&mut self, kind: ScopeKind, label: Option<String>) {
        self.0.push(Scope { kind, label, names: Vec::new() });
    }

    pub fn pop(&mut self) {
        self.0.pop();
    }

    /// Declares a name in the innermost scope; `false` when it has that name already.
    pub fn declare(&mut self, name: &str, known: Known) -> bool {
        match self.0.last_mut() {
            Some(scope) if scope.names.iter().any(|(other, _)| other == name) => false,
            Some(scope) => {
                scope.names.push((name.to_owned(), known));
                true
            }
            None => true,
        }
    }

    /// Says more about a name of the innermost scope.
    pub fn redeclare(&mut self, name: &str, known: Known) {
        let names = self.0.last_mut().map(|scope| &mut scope.names);
        if let Some((_, declared)) = names.into_iter().flatten().find(|(other, _)| other == name) {
            *declared = known;
        }
    }

    /// What a name means: a variable, or a label and a variable.
    pub fn find(&self, parts: &[String]) -> Option<&Known> {
        match parts {
            [name] => self.0.iter().rev().find_map(|scope| scope.find(name)),
            [label, name] => {
                let labelled = |scope: &&Scope| scope.label.as_ref() == Some(label);
                self.0.iter().rev().find(labelled).and_then(|scope| scope.find(name))
            }
            _ => None,
        }
    }

    /// What the innermost scope with this label is.
    pub fn label(&self, label: &str) -> Option<ScopeKind> {
        self.0.iter().rev().find(|scope| scope.label.as_deref() == Some(label)).map(|scope| scope.kind)
    }

    pub fn in_loop(&self) -> bool {
        self.0.iter().any(|scope| scope.kind == ScopeKind::Loop)
    }
}

impl Scope {
    fn find(&self, name: &str) -> Option<&Known> {
        self.names.iter().find(|(other, _)| other == name).map(|(_, known)| known)
    }
}
