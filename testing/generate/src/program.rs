//! A program: tables, then statements, then a look at all tables.

use tuplix_sim::random::Random;

use crate::expression::Generator;
use crate::procedure::Procedure;
use crate::schema::Schema;
use crate::tree::{Rendering, Tree, text};

/// A statement of a program.
#[derive(Clone, Debug)]
pub struct Statement {
    /// What it says.
    pub tree: Tree,
    /// Whether its constants are parameters of a prepared statement.
    pub is_prepared: bool,
    /// Whether it may change something.
    pub changes: bool,
}

/// Statements in order.
#[derive(Clone, Debug)]
pub struct Program {
    /// What it was made from.
    pub seed: u64,
    /// The statements.
    pub statements: Vec<Statement>,
    /// How many of them make the tables.
    pub setup: usize,
}

impl Statement {
    fn new(tree: Tree, changes: bool) -> Statement {
        Statement { tree, is_prepared: false, changes }
    }

    /// Its texts: itself, or PREPARE and EXECUTE.
    pub fn texts(&self, number: usize, without_limit: bool) -> Vec<String> {
        let parameters = self.is_prepared.then(Vec::new);
        let mut rendering = Rendering { sql: String::new(), parameters, without_limit };
        self.tree.render(&mut rendering);
        let Some(values) = rendering.parameters else { return vec![rendering.sql] };
        let name = format!("q{number}{}", if without_limit { "_all" } else { "" });
        let arguments = if values.is_empty() { String::new() } else { format!("({})", values.join(", ")) };
        vec![format!("PREPARE {name} AS {}", rendering.sql), format!("EXECUTE {name}{arguments}")]
    }
}

impl Program {
    /// The program of a seed.
    pub fn of(seed: u64) -> Program {
        let mut generator = Generator {
            random: Random::new(seed, 1),
            schema: Schema::default(),
            next: 0,
            subqueries: true,
            outputs: Vec::new(),
        };
        let mut statements: Vec<Statement> =
            generator.tables().into_iter().map(|tree| Statement::new(tree, true)).collect();
        // Half of the programs run by statistics, which must not change an answer.
        if seed.is_multiple_of(2) {
            statements.push(Statement::new(text("ANALYZE"), true));
        }
        let setup = statements.len();
        let mut procedures: Vec<Procedure> = Vec::new();
        let count = 20 + generator.below(30);
        while statements.len() < setup + count {
            generator.some(&mut statements, &mut procedures);
        }
        for table in &generator.schema.tables {
            statements.push(Statement::new(text(format!("SELECT * FROM {}", table.name)), false));
        }
        Program { seed, statements, setup }
    }
}

impl Generator {
    /// Adds a statement, or a transaction of some.
    fn some(&mut self, to: &mut Vec<Statement>, procedures: &mut Vec<Procedure>) {
        match self.below(24) {
            0 => {
                let procedure = self.procedure();
                to.push(Statement::new(procedure.create.clone(), true));
                for _ in 0..2 {
                    to.push(Statement::new(self.call_of(&procedure), true));
                }
                procedures.push(procedure);
            }
            1 => self.transaction(to, procedures),
            _ => {
                let one = self.one(procedures);
                to.push(one);
            }
        }
    }

    fn one(&mut self, procedures: &[Procedure]) -> Statement {
        let (tree, changes) = match self.below(20) {
            0 if !procedures.is_empty() => {
                let at = self.below(procedures.len());
                (self.call_of(&procedures[at]), true)
            }
            1 | 2 => (self.constants_query(), false),
            3..=6 => (self.change(&crate::expression::Scope::default(), true), true),
            7 if self.chance(1, 3) => (self.changing_cte(), true),
            8..=10 => {
                let depth = 2;
                (self.query_statement(depth), false)
            }
            _ => {
                let depth = self.below(3);
                (self.query_statement(depth), false)
            }
        };
        let is_prepared = self.chance(1, 4);
        Statement { tree, is_prepared, changes }
    }

    fn transaction(&mut self, to: &mut Vec<Statement>, procedures: &[Procedure]) {
        let control = |words: &str| Statement::new(text(words), true);
        to.push(control("BEGIN"));
        for _ in 0..1 + self.below(6) {
            match self.below(6) {
                0 => to.push(control("SAVEPOINT s")),
                1 => to.push(control("ROLLBACK TO s")),
                2 => to.push(control("RELEASE s")),
                _ => {
                    let one = self.one(procedures);
                    to.push(one);
                }
            }
        }
        to.push(control(self.random.pick(&["COMMIT", "COMMIT", "ROLLBACK"])));
    }
}
