//! Random tables, indexes and rows.

use tuplix_types::TypeId;

use crate::expression::{Generator, Scope};
use crate::tree::{Tree, list, optional, seq, text};
use crate::values;

/// The tables of a program.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// The tables.
    pub tables: Vec<Table>,
}

/// A table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns, the key first.
    pub columns: Vec<Column>,
    /// Whether the key is the distribution column.
    pub is_distributed: bool,
    /// How many columns the primary key has; 0 for none.
    pub key: usize,
    /// Columns in unique constraints other than the primary key.
    pub unique: Vec<usize>,
}

/// A column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: TypeId,
    /// As CREATE TABLE names it.
    declared: String,
    is_not_null: bool,
    tag: u32,
}

impl Table {
    /// Its columns under an alias.
    pub fn scope(&self, alias: &str) -> Scope {
        let name = |column: &Column| (format!("{alias}.{}", column.name), column.ty);
        Scope { columns: self.columns.iter().map(name).collect() }
    }

    /// Whether a column takes part in a unique constraint or the distribution.
    pub fn is_key(&self, at: usize) -> bool {
        at < self.key.max(usize::from(self.is_distributed)) || self.unique.contains(&at)
    }
}

fn tagged(tag: u32, body: Tree) -> Tree {
    Tree::Tagged(tag, Box::new(body))
}

impl Generator {
    /// Makes the tables; the statements that create and fill them.
    pub fn tables(&mut self) -> Vec<Tree> {
        let mut statements = Vec::new();
        for number in 0..1 + self.below(4) {
            let table = self.table(number);
            statements.push(self.create(&table));
            if table.is_distributed {
                statements.push(text(format!("SELECT create_distributed_table('{}', 'k')", table.name)));
            } else if self.chance(1, 4) {
                statements.push(text(format!("SELECT create_reference_table('{}')", table.name)));
            }
            for _ in 0..self.below(4) {
                statements.push(self.index(&table));
            }
            let rows = self.pick(&[0, 1, 3, 8, 8, 20, 40]);
            if rows > 0 {
                statements.push(self.rows(&table, rows));
            }
            self.schema.tables.push(table);
        }
        statements
    }

    fn table(&mut self, number: usize) -> Table {
        let is_distributed = self.chance(1, 2);
        let mut columns = Vec::new();
        let count = 2 + self.below(6);
        for at in 0..count {
            // Two integers come first: distribution column and key.
            let ty = match at {
                0 => TypeId::INT4,
                1 if self.chance(2, 3) => self.pick(&[TypeId::INT4, TypeId::INT8]),
                _ => self.any_type(),
            };
            let declared = match ty {
                TypeId::VARCHAR if self.chance(1, 2) => "varchar(8)".to_owned(),
                TypeId::BPCHAR => "char(8)".to_owned(),
                TypeId::NUMERIC if self.chance(1, 3) => "numeric(30,4)".to_owned(),
                _ => values::name(ty),
            };
            let name = if at == 0 { "k".to_owned() } else { format!("c{at}") };
            let is_not_null = self.chance(1, 6);
            columns.push(Column { name, ty, declared, is_not_null, tag: self.fresh() });
        }
        let key = self.pick(&[0, 1, 2, 2]).min(count);
        let key = if key == 2 && matches!(columns[1].ty, TypeId::JSON) { 1 } else { key };
        Table { name: format!("t{number}"), columns, is_distributed, key, unique: Vec::new() }
    }

    fn create(&mut self, table: &Table) -> Tree {
        let mut items = Vec::new();
        for column in &table.columns {
            let mut parts = vec![text(format!("{} {}", column.name, column.declared))];
            if column.is_not_null {
                parts.push(optional(text(" NOT NULL")));
            }
            if self.chance(1, 5) {
                let default = self.constant(column.ty);
                parts.push(optional(seq([text(" DEFAULT "), default])));
            }
            items.push(tagged(column.tag, seq(parts)));
        }
        if table.key > 0 {
            let names: Vec<&str> = table.columns[..table.key].iter().map(|c| c.name.as_str()).collect();
            items.push(text(format!("PRIMARY KEY ({})", names.join(", "))));
        }
        if self.chance(1, 5) {
            self.subqueries = false;
            let own = table.columns.iter().map(|column| (column.name.clone(), column.ty)).collect();
            let check = self.expression(TypeId::BOOL, 2, &Scope { columns: own });
            self.subqueries = true;
            items.push(seq([text("CHECK ("), check, text(" OR k < 30)")]));
        }
        seq([text(format!("CREATE TABLE {} (", table.name)), list(items), text(")")])
    }

    fn index(&mut self, table: &Table) -> Tree {
        let hash = self.chance(1, 4);
        let count = if hash { 1 } else { 1 + self.below(3) };
        let mut items = Vec::new();
        for _ in 0..count {
            let name = &table.columns[self.below(table.columns.len())].name;
            let order = self.pick(&["", "", " DESC", " NULLS FIRST", " DESC NULLS LAST"]);
            items.push(text(format!("{name}{}", if hash { "" } else { order })));
        }
        let method = if hash { " USING hash" } else { "" };
        seq([text(format!("CREATE INDEX ON {}{method} (", table.name)), list(items), text(")")])
    }

    fn rows(&mut self, table: &Table, count: usize) -> Tree {
        let names =
            table.columns.iter().map(|column| tagged(column.tag, text(column.name.clone()))).collect();
        let rows = (0..count).map(|row| {
            let fields = self.fields(table, row);
            seq([text("("), list(fields), text(")")])
        });
        let rows = Tree::List(rows.collect(), ", ", 1);
        seq([text(format!("INSERT INTO {} (", table.name)), list(names), text(") VALUES "), rows])
    }

    /// A value for each column; the key of row `row`, which is new when the row is.
    pub fn fields(&mut self, table: &Table, row: usize) -> Vec<Tree> {
        let mut fields = Vec::new();
        for (at, column) in table.columns.iter().enumerate() {
            let is_key = at < table.key || column.is_not_null || (at == 0 && table.is_distributed);
            let field = match (at, table.key) {
                (0, 1) => Tree::Literal(column.ty, Some(row.to_string())),
                (0, _) => Tree::Literal(column.ty, Some((row % 4).to_string())),
                (1, 2) if matches!(column.ty, TypeId::INT4 | TypeId::INT8) => {
                    Tree::Literal(column.ty, Some((row / 4).to_string()))
                }
                _ if is_key => {
                    Tree::Literal(column.ty, Some(values::random_not_null(&mut self.random, column.ty)))
                }
                _ => Tree::Literal(column.ty, values::random(&mut self.random, column.ty)),
            };
            fields.push(tagged(column.tag, crate::tree::value(column.ty, field)));
        }
        fields
    }
}
