//! Random expressions of a wanted type.

use tuplix_functions::is_polymorphic;
use tuplix_sim::random::Random;
use tuplix_types::TypeId;

use crate::catalogue::{CATALOGUE, Callable, Form, is_array_like};
use crate::schema::Schema;
use crate::tree::{Tree, list, optional, seq, text, value};
use crate::values;

/// What can be named in an expression: texts that name columns or variables, and their types.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Names and types.
    pub columns: Vec<(String, TypeId)>,
}

impl Scope {
    /// Both scopes, the inner one first.
    pub fn with(&self, outer: &Scope) -> Scope {
        Scope { columns: self.columns.iter().chain(&outer.columns).cloned().collect() }
    }
}

/// Makes statements from random numbers.
#[derive(Debug)]
pub struct Generator {
    /// Where chance comes from.
    pub random: Random,
    /// The tables.
    pub schema: Schema,
    /// Numbers aliases and tags.
    pub next: u32,
    /// Whether queries may stand in expressions.
    pub subqueries: bool,
    /// Tags of the columns of the query that was made last.
    pub outputs: Vec<u32>,
}

impl Generator {
    /// A number that no alias or tag has yet.
    pub fn fresh(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    /// True `part` times in `whole`.
    pub fn chance(&mut self, part: u64, whole: u64) -> bool {
        self.random.chance(part, whole)
    }

    /// A number below another.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.random.below(bound as u64)).unwrap_or(0)
    }

    /// One of some.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        self.random.pick(of)
    }

    /// A type.
    pub fn any_type(&mut self) -> TypeId {
        self.pick(values::TYPES)
    }

    /// A type, one in scope rather than another.
    pub fn scope_type(&mut self, scope: &Scope) -> TypeId {
        if scope.columns.is_empty() || self.chance(1, 4) {
            return self.any_type();
        }
        let at = self.below(scope.columns.len());
        scope.columns[at].1
    }

    /// A constant.
    pub fn constant(&mut self, ty: TypeId) -> Tree {
        value(ty, Tree::Literal(ty, values::random(&mut self.random, ty)))
    }

    /// A column or a constant.
    pub fn leaf(&mut self, ty: TypeId, scope: &Scope) -> Tree {
        let columns: Vec<&(String, TypeId)> = scope.columns.iter().filter(|column| column.1 == ty).collect();
        if columns.is_empty() || self.random.chance(1, 4) {
            return self.constant(ty);
        }
        let at = self.below(columns.len());
        value(ty, text(columns[at].0.clone()))
    }

    /// An expression of a type.
    pub fn expression(&mut self, ty: TypeId, depth: usize, scope: &Scope) -> Tree {
        if depth == 0 || self.chance(1, 7) {
            return self.leaf(ty, scope);
        }
        let depth = depth - 1;
        let body = match self.below(20) {
            0 => self.case(ty, depth, scope),
            1 => {
                let name = self.pick(&["COALESCE", "COALESCE", "GREATEST", "LEAST", "NULLIF"]);
                let count = if name == "NULLIF" { 2 } else { 1 + self.below(3) };
                let name = if matches!(ty, TypeId::JSONB | TypeId::JSON) { "COALESCE" } else { name };
                let items = (0..count).map(|_| self.expression(ty, depth, scope)).collect();
                let least = if name == "NULLIF" { 2 } else { 1 };
                seq([text(name), text("("), Tree::List(items, ", ", least), text(")")])
            }
            2 | 3 => self.cast(ty, depth, scope),
            4 if self.subqueries => self.scalar_subquery(ty, depth, scope),
            5..=13 if ty == TypeId::BOOL => self.condition(depth, scope),
            5..=7 if ty.element().is_some() => {
                let element = ty.element().unwrap_or(TypeId::INT4);
                let items = (0..self.below(3)).map(|_| self.expression(element, depth, scope)).collect();
                let cast = format!("]::{}", values::name(ty));
                seq([text("ARRAY["), Tree::List(items, ", ", 0), text(cast)])
            }
            5 if ty.array_of().is_some_and(|array| values::TYPES.contains(&array)) => {
                let array = ty.array_of().unwrap_or(ty);
                let (array, at) = (
                    self.expression(array, depth, scope),
                    self.expression(TypeId::INT4, depth.min(1), scope),
                );
                seq([text("("), array, text(")["), at, text("]")])
            }
            _ => match self.call(ty, depth, scope) {
                Some(call) => call,
                None => return self.leaf(ty, scope),
            },
        };
        value(ty, body)
    }

    fn case(&mut self, ty: TypeId, depth: usize, scope: &Scope) -> Tree {
        let subject = self.chance(1, 3).then(|| self.scope_type(scope)).filter(|ty| *ty != TypeId::JSON);
        let mut parts = vec![text("CASE")];
        if let Some(subject) = subject {
            parts.extend([text(" "), self.expression(subject, depth, scope)]);
        }
        let arms = (0..1 + self.below(2)).map(|_| {
            let when = self.expression(subject.unwrap_or(TypeId::BOOL), depth, scope);
            seq([text(" WHEN "), when, text(" THEN "), self.expression(ty, depth, scope)])
        });
        parts.push(Tree::List(arms.collect(), "", 1));
        parts.push(optional(seq([text(" ELSE "), self.expression(ty, depth, scope)])));
        parts.push(text(" END"));
        seq(parts)
    }

    fn cast(&mut self, ty: TypeId, depth: usize, scope: &Scope) -> Tree {
        let sources: Vec<TypeId> = tuplix_functions::casts()
            .filter(|cast| cast.to == ty && values::TYPES.contains(&cast.from))
            .map(|cast| cast.from)
            .chain([TypeId::TEXT])
            .collect();
        let from = if ty == TypeId::TEXT { self.scope_type(scope) } else { self.pick(&sources) };
        // Most texts are no value of another type.
        let from = if from == TypeId::TEXT && !self.chance(1, 5) { ty } else { from };
        let name = match ty {
            TypeId::VARCHAR if self.chance(1, 2) => "varchar(2)".to_owned(),
            TypeId::BPCHAR if self.chance(1, 2) => "char(3)".to_owned(),
            TypeId::NUMERIC if self.chance(1, 2) => "numeric(12,1)".to_owned(),
            _ => values::name(ty),
        };
        seq([text("CAST("), self.expression(from, depth, scope), text(format!(" AS {name})"))])
    }

    /// A call of something from the catalogue.
    fn call(&mut self, ty: TypeId, depth: usize, scope: &Scope) -> Option<Tree> {
        let all = CATALOGUE.giving(ty);
        if all.is_empty() {
            return None;
        }
        let callable = all[self.below(all.len())];
        let types = self.argument_types(callable, Some(ty));
        let mut args: Vec<Tree> = types.iter().map(|ty| self.expression(*ty, depth, scope)).collect();
        Some(match (callable.form, args.len()) {
            (Form::Operator, 1) => seq([text(format!("({} ", callable.name)), args.remove(0), text(")")]),
            (Form::Operator, _) => {
                let right = args.pop()?;
                let left = args.pop()?;
                seq([text("("), left, text(format!(" {} ", callable.name)), right, text(")")])
            }
            _ => {
                if callable.form == Form::Variadic {
                    for _ in 0..1 + self.below(3) {
                        let ty = self.scope_type(scope);
                        args.push(self.expression(ty, depth, scope));
                    }
                }
                if callable.is_variadic
                    && let Some(last) = args.pop()
                {
                    args.push(seq([text("VARIADIC "), last]));
                }
                let least = args.len();
                seq([text(format!("{}(", callable.name)), Tree::List(args, ", ", least), text(")")])
            }
        })
    }

    /// Argument types, with types in place of the polymorphic ones.
    pub fn argument_types(&mut self, callable: &Callable, result: Option<TypeId>) -> Vec<TypeId> {
        if !callable.is_polymorphic() {
            return callable.arguments().to_vec();
        }
        let arrays: Vec<TypeId> = values::TYPES.iter().copied().filter(|ty| ty.element().is_some()).collect();
        let array = match result {
            Some(ty) if is_polymorphic(callable.result) && is_array_like(callable.result) => ty,
            Some(ty) if is_polymorphic(callable.result) => ty.array_of().unwrap_or(TypeId(1007)),
            _ => self.pick(&arrays),
        };
        let element = array.element().unwrap_or(TypeId::INT4);
        let bind = |ty: &TypeId| match *ty {
            ty if is_array_like(ty) => array,
            ty if is_polymorphic(ty) => element,
            ty => ty,
        };
        callable.arguments().iter().map(bind).collect()
    }

    /// A condition.
    fn condition(&mut self, depth: usize, scope: &Scope) -> Tree {
        let ty = self.scope_type(scope);
        let not = self.pick(&["", "NOT "]);
        let one = |generator: &mut Generator| generator.expression(ty, depth, scope);
        match self.below(14) {
            0 | 1 => {
                let word = self.pick(&[" AND ", " OR "]);
                let both = (0..2).map(|_| self.expression(TypeId::BOOL, depth, scope)).collect();
                seq([text("("), Tree::List(both, word, 1), text(")")])
            }
            2 => seq([text("(NOT "), self.expression(TypeId::BOOL, depth, scope), text(")")]),
            3 | 4 => seq([text("("), one(self), text(format!(" IS {not}NULL)"))]),
            5 => seq([text("("), one(self), text(format!(" IS {not}DISTINCT FROM ")), one(self), text(")")]),
            6 => {
                let items = (0..1 + self.below(4)).map(|_| one(self)).collect();
                seq([text("("), one(self), text(format!(" {not}IN (")), list(items), text("))")])
            }
            7 => {
                let symmetric = self.pick(&["", "", "SYMMETRIC "]);
                let head = text(format!(" {not}BETWEEN {symmetric}"));
                seq([text("("), one(self), head, one(self), text(" AND "), one(self), text(")")])
            }
            8 => {
                let word = self.pick(&["LIKE", "ILIKE"]);
                let pattern = self.pick(&["a%", "%b%", "_", "%", "", "a_b", "%Ä", "ab", "A%", "%c"]);
                let left = self.expression(TypeId::TEXT, depth, scope);
                seq([text("("), left, text(format!(" {not}{word} '{pattern}')"))])
            }
            9 => {
                let word = self.pick(&["TRUE", "FALSE", "UNKNOWN"]);
                seq([
                    text("("),
                    self.expression(TypeId::BOOL, depth, scope),
                    text(format!(" IS {not}{word})")),
                ])
            }
            10 => {
                let array = self.pick(&[TypeId(1007), TypeId(1009), TypeId(1231)]);
                let element = array.element().unwrap_or(TypeId::INT4);
                let operator = self.pick(&["= ANY", "<> ALL", "< ANY", ">= ALL"]);
                let left = self.expression(element, depth, scope);
                let right = self.expression(array, depth, scope);
                seq([text("("), left, text(format!(" {operator} (")), right, text("))")])
            }
            11 if self.subqueries => self.subquery_condition(ty, not, depth, scope),
            _ => {
                let operator = self.pick(&["=", "=", "<>", "<", "<=", ">", ">="]);
                seq([text("("), one(self), text(format!(" {operator} ")), one(self), text(")")])
            }
        }
    }

    fn subquery_condition(&mut self, ty: TypeId, not: &str, depth: usize, scope: &Scope) -> Tree {
        if self.chance(1, 2) {
            let (query, _) = self.query(None, depth.min(1), scope);
            return seq([text(format!("({not}EXISTS (")), query, text("))")]);
        }
        let left = self.expression(ty, depth, scope);
        let (query, _) = self.query(Some(&[ty]), depth.min(1), scope);
        let word = self.pick(&["IN", "IN", "NOT IN", "= ANY", "<> ALL", "> ANY"]);
        seq([text("("), left, text(format!(" {word} (")), query, text("))")])
    }

    /// `(SELECT ...)` of one row: an aggregate, or the first in a total order.
    fn scalar_subquery(&mut self, ty: TypeId, depth: usize, scope: &Scope) -> Tree {
        let (query, _) = self.query(Some(&[ty]), depth.min(1), scope);
        let alias = format!("q{}", self.fresh());
        let order = self.pick(&["", " DESC", " NULLS FIRST"]);
        seq([text("(SELECT c1 FROM ("), query, text(format!(") {alias}(c1) ORDER BY c1{order} LIMIT 1)"))])
    }

    /// An aggregate that gives a type.
    pub fn aggregate(&mut self, ty: TypeId, depth: usize, scope: &Scope) -> Option<Tree> {
        if ty == TypeId::INT8 && self.chance(1, 3) {
            return Some(value(ty, seq([text("count(*)"), self.filter(depth, scope)])));
        }
        let all = CATALOGUE.aggregates_giving(ty);
        if all.is_empty() {
            return None;
        }
        let callable = all[self.below(all.len())];
        let types = self.argument_types(callable, Some(ty));
        // DISTINCT with ORDER BY compares its arguments: the engine does not see that two subqueries are equal.
        let subqueries = std::mem::replace(&mut self.subqueries, false);
        let args: Vec<Tree> = types.iter().map(|ty| self.expression(*ty, depth, scope)).collect();
        self.subqueries = subqueries;
        if args.is_empty() {
            return Some(value(ty, seq([text(format!("{}(*)", callable.name)), self.filter(depth, scope)])));
        }
        let joined = args.iter().map(Tree::sql).collect::<Vec<_>>().join(", ");
        let is_collecting = callable.name.contains("agg") && !types.contains(&TypeId::JSON);
        let is_distinct = args.len() == 1 && self.chance(1, 5) && types[0] != TypeId::JSON;
        let inner = match (is_collecting, is_distinct) {
            (true, true) => text(format!("DISTINCT {joined} ORDER BY {joined}")),
            (true, false) => text(format!("{joined} ORDER BY {joined}")),
            (false, true) => seq([text("DISTINCT "), args[0].clone()]),
            (false, false) => Tree::List(args, ", ", types.len()),
        };
        let filter = self.filter(depth, scope);
        Some(value(ty, seq([text(format!("{}(", callable.name)), inner, text(")"), filter])))
    }

    fn filter(&mut self, depth: usize, scope: &Scope) -> Tree {
        if !self.chance(1, 6) {
            return text("");
        }
        let condition = self.expression(TypeId::BOOL, depth, scope);
        optional(seq([text(" FILTER (WHERE "), condition, text(")")]))
    }
}
