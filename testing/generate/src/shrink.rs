//! Makes a program small that shows a difference.

use anyhow::Result;

use crate::compare::{Difference, Outcome, run};
use crate::engines::Engines;
use crate::program::{Program, Statement};
use crate::tree::Tree;

/// The last statement's difference, when the program still has it.
fn difference(engines: &mut Engines, program: &Program, kind: &str) -> Result<Option<Difference>> {
    engines.reset()?;
    let last = program.statements.len() - 1;
    for (number, statement) in program.statements.iter().enumerate() {
        match run(engines, statement, number) {
            Outcome::Different(found) if number == last && found.kind == kind => return Ok(Some(found)),
            // States that differ before the end would be another difference.
            Outcome::Different(_) if statement.changes => return Ok(None),
            Outcome::GivenUp => return Ok(None),
            _ => {}
        }
    }
    Ok(None)
}

/// Shrinks by trial.
struct Shrinker<'a> {
    engines: &'a mut Engines,
    program: Program,
    found: Difference,
    /// How many trials are left.
    trials: usize,
}

/// The smallest program found with the difference of the last statement, if it is there at all.
///
/// # Errors
/// When PostgreSQL does not answer.
pub fn shrink(engines: &mut Engines, program: Program, kind: &str) -> Result<Option<(Program, Difference)>> {
    let Some(found) = difference(engines, &program, kind)? else { return Ok(None) };
    let mut shrinker = Shrinker { engines, program, found, trials: 1500 };
    loop {
        let before = shrinker.size();
        shrinker.drop_statements()?;
        shrinker.shrink_last()?;
        shrinker.drop_tags()?;
        shrinker.shrink_statements()?;
        if shrinker.size() >= before || shrinker.trials == 0 {
            return Ok(Some((shrinker.program, shrinker.found)));
        }
    }
}

impl Shrinker<'_> {
    fn size(&self) -> usize {
        self.program.statements.iter().map(|statement| statement.tree.size() + 1).sum()
    }

    fn candidates(&self, number: usize) -> Vec<Tree> {
        let tree = &self.program.statements[number].tree;
        let mut candidates = tree.smaller();
        if self.found.kind.starts_with("only the engine fails") {
            // PostgreSQL does not evaluate what stands beside a NULL that decides.
            let nulls = tree.nulls();
            candidates.retain(|candidate| candidate.nulls() <= nulls);
        }
        candidates
    }

    /// Takes the program when the difference is still there.
    fn accept(&mut self, program: Program) -> Result<bool> {
        if self.trials == 0 {
            return Ok(false);
        }
        self.trials -= 1;
        let Some(found) = difference(self.engines, &program, &self.found.kind)? else { return Ok(false) };
        self.program = program;
        self.found = found;
        Ok(true)
    }

    fn drop_statements(&mut self) -> Result<()> {
        let mut width = self.program.statements.len() / 2;
        while width > 0 {
            let mut at = 0;
            while at + width < self.program.statements.len() {
                let mut fewer = self.program.clone();
                fewer.statements.drain(at..at + width);
                if !self.accept(fewer)? {
                    at += width;
                }
            }
            width /= 2;
        }
        Ok(())
    }

    fn drop_tags(&mut self) -> Result<()> {
        let mut tags = Vec::new();
        self.program.statements.iter().for_each(|statement| statement.tree.tags(&mut tags));
        for tag in tags {
            let without = |statement: &Statement| {
                statement.tree.without(tag).map(|tree| Statement { tree, ..statement.clone() })
            };
            let statements: Option<Vec<Statement>> = self.program.statements.iter().map(without).collect();
            if let Some(statements) = statements {
                self.accept(Program { statements, ..self.program.clone() })?;
            }
        }
        Ok(())
    }

    /// The last statement alone, on tables that stay as they are when it changes nothing.
    fn shrink_last(&mut self) -> Result<()> {
        let last = self.program.statements.len() - 1;
        if self.program.statements[last].is_prepared {
            let mut plain = self.program.clone();
            plain.statements[last].is_prepared = false;
            self.accept(plain)?;
        }
        if self.program.statements[last].changes || self.program.statements[last].is_prepared {
            return self.shrink_statement(last);
        }
        // Puts both into the state before it.
        difference(self.engines, &self.program, &self.found.kind)?;
        let mut trials = 3000;
        let mut at = 0;
        loop {
            let candidates = self.candidates(last);
            let Some(tree) = candidates.into_iter().nth(at) else { return Ok(()) };
            if trials == 0 {
                return Ok(());
            }
            trials -= 1;
            let statement = Statement { tree, ..self.program.statements[last].clone() };
            match run(self.engines, &statement, last) {
                Outcome::Different(found) if found.kind == self.found.kind => {
                    self.program.statements[last] = statement;
                    self.found = found;
                    at = 0;
                }
                _ => at += 1,
            }
        }
    }

    fn shrink_statements(&mut self) -> Result<()> {
        for number in 0..self.program.statements.len() {
            self.shrink_statement(number)?;
        }
        Ok(())
    }

    fn shrink_statement(&mut self, number: usize) -> Result<()> {
        let mut at = 0;
        loop {
            let candidates = self.candidates(number);
            let Some(tree) = candidates.into_iter().nth(at) else { return Ok(()) };
            let mut smaller = self.program.clone();
            smaller.statements[number].tree = tree;
            if self.accept(smaller)? {
                at = 0;
            } else if self.trials == 0 {
                return Ok(());
            } else {
                at += 1;
            }
        }
    }
}
