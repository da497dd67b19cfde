//! Random PL/pgSQL functions and calls of them.

use tuplix_types::TypeId;

use crate::expression::{Generator, Scope};
use crate::tree::{Sort, Tree, list, optional, seq, text};
use crate::values;

/// A function to call.
#[derive(Clone, Debug)]
pub struct Procedure {
    /// CREATE FUNCTION.
    pub create: Tree,
    name: String,
    arguments: Vec<TypeId>,
    is_set: bool,
}

fn statements(items: Vec<Tree>) -> Tree {
    let items = items.into_iter().map(|item| Tree::Node(Sort::Block, Box::new(item))).collect();
    Tree::List(items, "", 1)
}

impl Generator {
    /// A function.
    pub fn procedure(&mut self) -> Procedure {
        let name = format!("p{}", self.fresh());
        let arguments: Vec<TypeId> = (0..self.below(3)).map(|_| self.any_type()).collect();
        let result = self.any_type();
        let is_set = self.chance(1, 4);
        let mut columns: Vec<(String, TypeId)> = Vec::new();
        for (at, ty) in arguments.iter().enumerate() {
            columns.push((format!("x{at}"), *ty));
        }
        let parameters: Vec<String> =
            columns.iter().map(|(name, ty)| format!("{name} {}", values::name(*ty))).collect();
        let mut declarations = Vec::new();
        for at in 0..1 + self.below(3) {
            let ty = self.any_type();
            let initial = self.expression(ty, 1, &Scope { columns: columns.clone() });
            let initial = optional(seq([text(" := "), initial]));
            declarations.push(seq([text(format!("    v{at} {}", values::name(ty))), initial, text(";\n")]));
            columns.push((format!("v{at}"), ty));
        }
        let scope = Scope { columns };
        let mut body: Vec<Tree> =
            (0..1 + self.below(4)).map(|_| self.step(2, &scope, is_set.then_some(result))).collect();
        body.push(if is_set {
            text("    RETURN;\n")
        } else {
            let value = self.expression(result, 2, &scope);
            seq([text("    RETURN "), value, text(";\n")])
        });
        let returns = if is_set { "SETOF " } else { "" };
        let head = format!(
            "CREATE FUNCTION {name}({}) RETURNS {returns}{} LANGUAGE plpgsql AS $f$\nDECLARE\n",
            parameters.join(", "),
            values::name(result)
        );
        let declarations = Tree::List(declarations, "", 0);
        let create = seq([text(head), declarations, text("BEGIN\n"), statements(body), text("END\n$f$")]);
        Procedure { create, name, arguments, is_set }
    }

    /// A call of it.
    pub fn call_of(&mut self, procedure: &Procedure) -> Tree {
        let args: Vec<Tree> = procedure.arguments.iter().map(|ty| self.constant(*ty)).collect();
        let least = args.len();
        let head = if procedure.is_set { "SELECT * FROM " } else { "SELECT " };
        seq([text(format!("{head}{}(", procedure.name)), Tree::List(args, ", ", least), text(")")])
    }

    fn block(&mut self, depth: usize, scope: &Scope, set: Option<TypeId>) -> Tree {
        statements((0..1 + self.below(2)).map(|_| self.step(depth, scope, set)).collect())
    }

    /// A statement of a function.
    fn step(&mut self, depth: usize, scope: &Scope, set: Option<TypeId>) -> Tree {
        let variables: Vec<(String, TypeId)> =
            scope.columns.iter().filter(|column| column.0.starts_with('v')).cloned().collect();
        let (name, ty) = variables[self.below(variables.len())].clone();
        let condition = |generator: &mut Generator| generator.expression(TypeId::BOOL, 1, scope);
        match self.below(if depth == 0 { 6 } else { 12 }) {
            0 | 1 => seq([text(format!("    {name} := ")), self.expression(ty, 2, scope), text(";\n")]),
            2 => {
                let (query, _) = self.query(Some(&[ty]), 1, &Scope::default());
                let head = format!("    SELECT z.c INTO {name} FROM (");
                seq([text(head), query, text(") z(c) ORDER BY z.c LIMIT 1;\n")])
            }
            3 => {
                let change = self.change(scope, false);
                seq([text("    "), change, text(";\n")])
            }
            4 => match set {
                Some(ty) if self.chance(1, 2) => {
                    let (query, _) = self.query(Some(&[ty]), 1, &Scope::default());
                    seq([text("    RETURN QUERY "), query, text(";\n")])
                }
                Some(ty) => seq([text("    RETURN NEXT "), self.expression(ty, 1, scope), text(";\n")]),
                None => text(format!("    {name} := NULL;\n")),
            },
            5 if self.chance(1, 3) => {
                let state = self.pick(&["22012", "23505", "P0001", "U0001"]);
                text(format!("    RAISE EXCEPTION 'said' USING ERRCODE = '{state}';\n"))
            }
            5 => {
                let (query, _) = self.query(None, 1, &Scope::default());
                seq([text("    PERFORM * FROM ("), query, text(") z;\n")])
            }
            6 | 7 => {
                let mut parts = vec![
                    text("    IF "),
                    condition(self),
                    text(" THEN\n"),
                    self.block(depth - 1, scope, set),
                ];
                if self.chance(1, 2) {
                    let other = self.block(depth - 1, scope, set);
                    parts.push(optional(seq([text("    ELSE\n"), other])));
                }
                parts.push(text("    END IF;\n"));
                seq(parts)
            }
            8 => {
                let leave = self.pick(&["EXIT", "CONTINUE"]);
                let when = condition(self);
                let leave = optional(seq([text(format!("    {leave} WHEN ")), when, text(";\n")]));
                let variable = format!("i{}", self.fresh());
                let mut inner = scope.clone();
                inner.columns.push((variable.clone(), TypeId::INT4));
                let body = self.block(depth - 1, &inner, set);
                let range = self.pick(&["1..3", "REVERSE 3..1", "0..0", "2..1", "1..5 BY 2"]);
                seq([
                    text(format!("    FOR {variable} IN {range} LOOP\n")),
                    leave,
                    body,
                    text("    END LOOP;\n"),
                ])
            }
            9 => {
                let (query, _) = self.query(Some(&[ty]), 1, &Scope::default());
                let body = self.block(depth - 1, scope, set);
                let head = format!("    FOR {name} IN SELECT z.c FROM (");
                seq([text(head), query, text(") z(c) ORDER BY z.c LOOP\n"), body, text("    END LOOP;\n")])
            }
            _ => {
                let state = self.pick(&[
                    "OTHERS",
                    "OTHERS",
                    "division_by_zero",
                    "unique_violation",
                    "SQLSTATE '22003'",
                ]);
                let body = self.block(depth - 1, scope, set);
                let handler = self.block(depth - 1, scope, set);
                seq([
                    text("    BEGIN\n"),
                    body,
                    text(format!("    EXCEPTION WHEN {state} THEN\n")),
                    handler,
                    text("    END;\n"),
                ])
            }
        }
    }

    /// A call with expressions of constants as arguments, as a list of items.
    pub fn constants_query(&mut self) -> Tree {
        let items = (0..1 + self.below(3)).map(|_| {
            let ty = self.any_type();
            self.expression(ty, 3, &Scope::default())
        });
        let items = items.collect();
        seq([text("SELECT "), list(items)])
    }
}
