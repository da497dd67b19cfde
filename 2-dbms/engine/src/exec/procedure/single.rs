//! Embedded statements of one row at most: by a unique key, with LIMIT 1, one row of VALUES. They run without a consumer of
//! rows, and where INTO takes columns as they are, these go from the scan's slots to the variables.

use std::sync::Arc;

use tuplix_types::Value;

use super::super::frame::Exec;
use super::super::query::QueryCode;
use super::super::rights::Rights;
use super::sql::{Row1, Targets};
use super::statement::with_line;
use super::{Control, Step, step};
use crate::stop::{Run, Stop};

/// A query of one row at most: it runs without a consumer of rows.
pub(super) struct Single {
    pub code: QueryCode,
    pub states: (usize, usize),
    pub text: Arc<str>,
    /// It is INSERT, UPDATE or DELETE.
    pub changes: bool,
    /// What it asks of who runs it.
    pub rights: Option<Box<Rights>>,
}

impl Single {
    /// From where to where its columns are to be moved, if that is all there is to do and none comes from where another
    /// one goes.
    fn moves_to(&self, targets: &Targets) -> Option<Vec<(usize, usize)>> {
        let (from, to) = (self.code.rows.unprojected()?, targets.plain.as_ref()?);
        let fits = self.code.width == to.len() && from.iter().all(|slot| !to.contains(slot));
        fits.then(|| from.iter().copied().zip(to.iter().copied()).collect())
    }

    /// Runs `body` as the statement.
    #[inline(always)]
    fn run(
        &self,
        exec: &mut Exec<'_, '_>,
        body: impl FnOnce(&mut Exec<'_, '_>, &QueryCode) -> Run<bool>,
    ) -> Run<bool> {
        if let Some(rights) = &self.rights
            && let Err(stop) = rights.check(exec)
        {
            return Err(self.in_context(stop));
        }
        if self.states.1 > 0 {
            exec.reset_states(self.states.0, self.states.1);
        }
        match body(exec, &self.code) {
            Ok(found) => Ok(found),
            Err(stop) => Err(self.in_context(stop)),
        }
    }

    #[cold]
    fn in_context(&self, stop: Stop) -> Stop {
        with_line(stop, || format!("SQL statement \"{}\"", self.text))
    }

    /// Without INTO. `perform`: it sets FOUND though it changes nothing.
    pub(super) fn alone(self, found: usize, perform: bool) -> Step {
        if self.changes {
            return step(move |exec| {
                exec.affected = 0;
                self.run(exec, |exec, code| code.one(exec))?;
                exec.set(found, Value::Bool(exec.affected > 0));
                exec.activation.row_count = exec.affected;
                Ok(Control::Next)
            });
        }
        step(move |exec| {
            exec.affected = 0;
            let found_one = self.run(exec, |exec, code| code.one(exec))?;
            if perform {
                exec.set(found, Value::Bool(found_one));
            }
            exec.activation.row_count = u64::from(found_one);
            Ok(Control::Next)
        })
    }

    /// With INTO.
    pub(super) fn into(self, found: usize, targets: Targets) -> Step {
        if let Some(moves) = self.moves_to(&targets) {
            return step(move |exec| {
                let found_one = self.run(exec, |exec, code| code.rows.one_unprojected(exec))?;
                if found_one {
                    moves.iter().for_each(|(from, to)| exec.copy_to(*from, *to));
                }
                self.found_one(exec, found, &targets, found_one)
            });
        }
        step(move |exec| {
            let found_one = self.run(exec, |exec, code| {
                let found = code.one(exec)?;
                if found {
                    Row1::Slots(code.first, code.width).set(exec, &targets)?;
                }
                Ok(found)
            })?;
            self.found_one(exec, found, &targets, found_one)
        })
    }

    /// What follows from whether there was a row.
    #[inline(always)]
    fn found_one(
        &self,
        exec: &mut Exec<'_, '_>,
        found: usize,
        targets: &Targets,
        found_one: bool,
    ) -> Run<Control> {
        if !found_one {
            targets.nothing(exec)?;
        }
        exec.set(found, Value::Bool(found_one));
        exec.activation.row_count = if self.changes { exec.affected } else { u64::from(found_one) };
        Ok(Control::Next)
    }
}
