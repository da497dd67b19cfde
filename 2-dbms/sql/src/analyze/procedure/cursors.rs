//! Cursors: declarations, OPEN, FETCH, MOVE, FOR over a cursor.

use tuplix_types::{SqlError, TypeId, Value, sqlstate};

use super::Binder;
use super::declarations::Resolved;
use super::embedded::statement_columns;
use super::loops::simple_name;
use super::refusal::{Bound, OfTheWhole as _, Refusal};
use crate::analyze::current_of::add_places;
use crate::analyze::nodes;
use crate::analyze::variables::Namespace;
use crate::plan::{
    CursorMove, CursorSource, Embedded, Expr, Expression, Into, Located, OutputColumn, PlStatement, Target,
};
use crate::plpgsql::{self, CursorArgument, FetchDirection, LoopBody, Name, OpenSource};

/// What is known of a cursor variable.
#[derive(Clone, Debug, Default)]
pub(super) struct Cursor {
    /// Its arguments.
    arguments: Namespace,
    /// The query that it was declared with.
    query: Option<plpgsql::Query>,
    scroll: Option<bool>,
    /// The columns of what it was opened for last in the order of the text.
    columns: Option<Vec<OutputColumn>>,
}

impl Binder<'_> {
    /// `name CURSOR (arguments) FOR query`: a variable whose value is its own name.
    pub(super) fn declare_cursor(
        &mut self,
        name: &str,
        scroll: Option<bool>,
        arguments: &[CursorArgument],
        query: &plpgsql::Query,
    ) -> Bound<(usize, Option<Expression>)> {
        self.variables.namespaces.push(Namespace::default());
        let added = self.cursor_arguments(arguments);
        let namespace = self.variables.namespaces.pop().unwrap_or_default();
        added?;
        let variable = self.add_variable(name, TypeId::REFCURSOR, -1);
        let query = Some(query.clone());
        self.cursors.insert(variable, Cursor { arguments: namespace, query, scroll, columns: None });
        let value = Expression {
            expr: Expr::constant(Value::text(name), TypeId::REFCURSOR),
            relations: Vec::new(),
            text: name.to_owned(),
            failure: None,
        };
        Ok((variable, Some(value)))
    }

    fn cursor_arguments(&mut self, arguments: &[CursorArgument]) -> Bound<()> {
        for argument in arguments {
            match self.data_type(&argument.data_type).of_the_whole()? {
                Resolved::Scalar(ty, typmod) => self.add_variable(&argument.name, ty, typmod),
                Resolved::Record | Resolved::Row(..) => {
                    return Err(SqlError::unsupported("a row as argument of a cursor").into());
                }
            };
        }
        Ok(())
    }

    /// The variable that holds a cursor's name.
    pub(super) fn cursor_variable(&self, name: &Name) -> Bound<usize> {
        let wrong = || {
            let message = format!("variable \"{name}\" must be of type cursor or refcursor");
            Refusal::Whole(SqlError::new(sqlstate::DATATYPE_MISMATCH, message))
        };
        match self.target_or_constant(name, true)? {
            Target::Variable(variable) if self.variables.list[variable].ty == TypeId::REFCURSOR => {
                Ok(variable)
            }
            _ => Err(wrong()),
        }
    }

    /// The query of a declared cursor, which sees its arguments, and the values of those.
    fn bound_query(
        &mut self,
        variable: usize,
        given: &[plpgsql::Expression],
    ) -> Bound<(Embedded, Vec<(usize, Expression)>)> {
        let cursor = self.cursors.get(&variable).cloned().unwrap_or_default();
        let query = cursor.query.ok_or_else(nodes::missing)?;
        let mut values = Vec::with_capacity(given.len());
        for (value, (_, argument)) in given.iter().zip(&cursor.arguments.names) {
            let (ty, typmod) = (self.variables.list[*argument].ty, self.variables.list[*argument].typmod);
            values.push((*argument, self.typed(value, ty, typmod)));
        }
        self.variables.namespaces.push(cursor.arguments);
        let query = self.cursor_query(&query);
        self.variables.namespaces.pop();
        Ok((query?, values))
    }

    fn cursor_query(&mut self, query: &plpgsql::Query) -> Bound<Embedded> {
        let query = self.embedded(query)?;
        if statement_columns(&query.statement).is_empty() {
            let message = "cannot open a query that returns no rows as cursor";
            return Err(SqlError::new(sqlstate::INVALID_CURSOR_DEFINITION, message).into());
        }
        Ok(query)
    }

    /// A cursor's query with what WHERE CURRENT OF asks for.
    fn placed(&self, scroll: Option<bool>, mut query: Embedded) -> (Option<bool>, CursorSource) {
        let places = add_places(self.context.catalog, &mut query.statement);
        (scroll.or(places.locked.then_some(false)), CursorSource::Query(query, places))
    }

    pub(super) fn open_cursor(&mut self, name: &Name, source: &OpenSource) -> Bound<PlStatement> {
        let cursor = self.cursor_variable(name)?;
        let constant = self.constants.contains(&cursor);
        let declared = self.cursors.get(&cursor).and_then(|cursor| cursor.scroll);
        let mut arguments = Vec::new();
        let (scroll, source) = match source {
            OpenSource::Bound { arguments: given } => {
                let (query, values) = self.bound_query(cursor, given)?;
                arguments = values;
                self.placed(declared, query)
            }
            OpenSource::Query { scroll, query } => {
                let query = self.cursor_query(query)?;
                self.placed(*scroll, query)
            }
            OpenSource::Execute { scroll, query, using } => {
                let (text, arguments) = (self.text(query), self.using(using));
                (*scroll, CursorSource::Dynamic { text, arguments })
            }
            OpenSource::Unknown => {
                let message = format!("cursor \"{name}\" has no query");
                return Err(Refusal::Whole(SqlError::new(sqlstate::SYNTAX_ERROR, message)));
            }
        };
        let columns = match &source {
            CursorSource::Query(query, places) => {
                let mut columns = statement_columns(&query.statement);
                columns.truncate(places.visible);
                Some(columns)
            }
            CursorSource::Dynamic { .. } => None,
        };
        self.cursors.entry(cursor).or_default().columns = columns;
        Ok(PlStatement::OpenCursor { cursor, constant, arguments, scroll, source })
    }

    pub(super) fn fetch_cursor(
        &mut self,
        name: &Name,
        direction: &FetchDirection,
        targets: &[Name],
    ) -> Bound<PlStatement> {
        let cursor = self.cursor_variable(name)?;
        let (by, count) = match direction {
            FetchDirection::Next => (CursorMove::Forward(Some(1)), None),
            FetchDirection::Prior => (CursorMove::Backward(Some(1)), None),
            FetchDirection::First => (CursorMove::Absolute(1), None),
            FetchDirection::Last => (CursorMove::Absolute(-1), None),
            FetchDirection::Absolute(count) => (CursorMove::Absolute(0), Some(count)),
            FetchDirection::Relative(count) => (CursorMove::Relative(0), Some(count)),
            FetchDirection::Forward(count) => (CursorMove::Forward(Some(0)), Some(count)),
            FetchDirection::Backward(count) => (CursorMove::Backward(Some(0)), Some(count)),
            FetchDirection::ForwardAll => (CursorMove::Forward(None), None),
            FetchDirection::BackwardAll => (CursorMove::Backward(None), None),
        };
        let count = count.map(|count| self.typed(count, TypeId::INT4, -1));
        let into = if targets.is_empty() { None } else { Some(self.fetch_into(cursor, targets)?) };
        Ok(PlStatement::FetchCursor { cursor, by, count, into })
    }

    /// INTO of FETCH; a record gets the structure of what the cursor was opened for.
    fn fetch_into(&mut self, cursor: usize, targets: &[Name]) -> Bound<Into> {
        let into = self.dynamic_into(targets, false)?;
        let known = self.cursors.get(&cursor).and_then(|cursor| cursor.columns.clone());
        let known = match known {
            Some(columns) => Some(columns),
            // Opened by a caller, or further down in the text: what it was declared for.
            None if self.cursors.get(&cursor).is_some_and(|cursor| cursor.query.is_some()) => {
                let (query, _) = self.bound_query(cursor, &[])?;
                Some(statement_columns(&query.statement))
            }
            None => None,
        };
        if let (Some(columns), [(Target::Record(variable), _)]) = (known, &into.targets[..])
            && !self.is_row(*variable)
        {
            self.assign_shape(*variable, Some(columns))?;
        }
        Ok(into)
    }

    /// FOR record IN cursor (arguments): the loop over its query.
    pub(super) fn for_cursor(
        &mut self,
        variable: &Name,
        cursor: &Name,
        arguments: &[plpgsql::Expression],
        body: &LoopBody,
    ) -> Bound<PlStatement> {
        let cursor = self.cursor_variable(cursor)?;
        let (mut query, values) = self.bound_query(cursor, arguments)?;
        self.variables.namespaces.push(Namespace { label: body.label.clone(), names: Vec::new() });
        self.add_variable(simple_name(variable).of_the_whole()?, TypeId::RECORD, -1);
        let result = self.into(std::slice::from_ref(variable), false, &mut query).and_then(|into| {
            let places = add_places(self.context.catalog, &mut query.statement);
            let scroll = self.cursors.get(&cursor).and_then(|cursor| cursor.scroll);
            let scroll = scroll.or(places.locked.then_some(false));
            let (label, body) = self.repeated(body, |_| Ok(()), |_, ()| ())?;
            Ok(PlStatement::ForCursor { label, cursor, scroll, into, query, places, body })
        });
        self.variables.namespaces.pop();
        let line = body.statements.first().map_or(0, |statement| statement.line);
        let assign = |(argument, value): (usize, Expression)| Located {
            line,
            id: 0,
            node: PlStatement::Assign { target: Target::Variable(argument), value },
        };
        let mut statements: Vec<Located<PlStatement>> = values.into_iter().map(assign).collect();
        statements.push(Located { line, id: 0, node: result? });
        Ok(PlStatement::Block(Box::new(crate::plan::Block {
            label: None,
            initial: Vec::new(),
            statements,
            handlers: Vec::new(),
            error_variables: None,
        })))
    }
}
