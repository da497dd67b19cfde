//! Whether the rows are as the catalogue says: indexes against rows, NOT NULL, CHECK, unique keys and foreign keys.
//!
//! Everything is asked by SQL, so it works on a node that runs, on one that [`Tuplix::inspect`](crate::Tuplix::inspect) has read, and but
//! for the indexes on PostgreSQL. Each question is a statement of its own: it holds up the partitions of its table for as long as it takes.

use tuplix_types::{Result, Value};

use crate::Session;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The table.
    pub table: String,
    /// What is wrong with it.
    pub what: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.table, self.what)
    }
}

/// What was checked, and what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Tables.
    pub tables: usize,
    /// Their constraints.
    pub constraints: usize,
    /// Their indexes.
    pub indexes: usize,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

const TABLES: &str = "SELECT c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname),
           (SELECT count(*) FROM pg_index i WHERE i.indrelid = c.oid)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.oid >= 16384 AND n.nspname NOT LIKE 'pg\\_temp\\_%' ORDER BY 2";

const NOT_NULL: &str = "SELECT quote_ident(attname::text) FROM pg_attribute
    WHERE attrelid = $1 AND attnotnull AND attnum > 0 AND NOT attisdropped ORDER BY attnum";

const CHECKS: &str = "SELECT conname::text, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid = $1 AND contype = 'c' ORDER BY 1";

const UNIQUE: &str = "SELECT i.relname::text, string_agg(quote_ident(a.attname::text), ', ' ORDER BY a.attnum)
    FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
    JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = ANY (x.indkey::int2[])
    WHERE x.indrelid = $1 AND x.indisunique AND x.indpred IS NULL AND x.indexprs IS NULL GROUP BY 1 ORDER BY 1";

const FOREIGN: &str = "SELECT c.conname::text, quote_ident(n.nspname) || '.' || quote_ident(p.relname),
           string_agg('c.' || quote_ident(a.attname::text), ', ' ORDER BY k),
           string_agg('p.' || quote_ident(b.attname::text), ', ' ORDER BY k),
           string_agg('c.' || quote_ident(a.attname::text) || ' IS NOT NULL', ' AND ' ORDER BY k)
    FROM pg_constraint c JOIN pg_class p ON p.oid = c.confrelid JOIN pg_namespace n ON n.oid = p.relnamespace
    CROSS JOIN generate_series(1, 32) k
    JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[k]
    JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = c.confkey[k]
    WHERE c.conrelid = $1 AND c.contype = 'f' GROUP BY 1, 2 ORDER BY 1";

/// Checks all tables but temporary ones. `with_indexes` needs a node of Tuplix.
///
/// # Errors
/// The engine's.
pub fn check(session: &mut Session, with_indexes: bool) -> Result<Checked> {
    let mut checked = Checked::default();
    let tables = session.query(TABLES, &[])?;
    for row in tables.iter() {
        let (Value::Oid(_), Some(name)) = (&row[0], row[1].as_str()) else { continue };
        checked.tables += 1;
        checked.indexes += row[2].as_i64().and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
        let mut table = Table { session, oid: row[0].clone(), name: name.to_owned(), checked: &mut checked };
        table.indexes(with_indexes)?;
        table.not_null()?;
        table.checks()?;
        table.unique()?;
        table.foreign_keys()?;
    }
    Ok(checked)
}

struct Table<'s> {
    session: &'s mut Session,
    oid: Value,
    name: String,
    checked: &'s mut Checked,
}

impl Table<'_> {
    fn found(&mut self, what: String) {
        self.checked.findings.push(Finding { table: self.name.clone(), what });
    }

    /// The texts of a query about the table.
    fn about(&mut self, sql: &str) -> Result<Vec<Vec<String>>> {
        let sql = match &self.oid {
            Value::Oid(oid) => sql.replace("$1", &format!("{oid}::oid")),
            _ => return Ok(Vec::new()),
        };
        let rows = self.session.query(&sql, &[])?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(rows.iter().map(|row| row.iter().map(text).collect()).collect())
    }

    /// Says so when a query counts any row.
    fn count(&mut self, sql: &str, what: impl FnOnce(i64) -> String) -> Result<()> {
        self.checked.constraints += 1;
        let rows = self.session.query(sql, &[])?;
        let count = rows.get(0, 0).and_then(Value::as_i64).unwrap_or(0);
        if count > 0 {
            self.found(what(count));
        }
        Ok(())
    }

    fn indexes(&mut self, with_indexes: bool) -> Result<()> {
        if !with_indexes {
            return Ok(());
        }
        let damaged = self.about("SELECT tuplix_damaged_indexes($1::regclass)")?;
        for names in damaged.into_iter().flatten().filter(|names| !names.is_empty()) {
            self.found(format!("the indexes {names} do not say what the rows say"));
        }
        Ok(())
    }

    fn not_null(&mut self) -> Result<()> {
        for column in self.about(NOT_NULL)?.into_iter().flatten() {
            let sql = format!("SELECT count(*) FROM {} WHERE {column} IS NULL", self.name);
            self.count(&sql, |count| {
                format!("{count} rows have NULL in column {column}, which is NOT NULL")
            })?;
        }
        Ok(())
    }

    fn checks(&mut self) -> Result<()> {
        for row in self.about(CHECKS)? {
            let [name, definition] = &row[..] else { continue };
            let Some(condition) = definition.strip_prefix("CHECK ") else { continue };
            let condition = condition.trim_end_matches(" NOT VALID").trim_end_matches(" NO INHERIT");
            let sql = format!("SELECT count(*) FROM {} WHERE NOT {condition}", self.name);
            self.count(&sql, |count| format!("{count} rows break the check {name}: {condition}"))?;
        }
        Ok(())
    }

    fn unique(&mut self) -> Result<()> {
        for row in self.about(UNIQUE)? {
            let [name, columns] = &row[..] else { continue };
            let set = columns.split(", ").map(|column| format!("{column} IS NOT NULL")).collect::<Vec<_>>();
            let sql = format!(
                "SELECT count(*) FROM (SELECT 1 FROM {} WHERE {} GROUP BY {columns} HAVING count(*) > 1) d",
                self.name,
                set.join(" AND ")
            );
            self.count(&sql, |count| format!("{count} keys of {name} ({columns}) are there more than once"))?;
        }
        Ok(())
    }

    fn foreign_keys(&mut self) -> Result<()> {
        for row in self.about(FOREIGN)? {
            let [name, parent, own, theirs, set] = &row[..] else { continue };
            let pairs =
                own.split(", ").zip(theirs.split(", ")).map(|(own, their)| format!("{their} = {own}"));
            let sql = format!(
                "SELECT count(*) FROM {} c WHERE {set} AND NOT EXISTS (SELECT 1 FROM {parent} p WHERE {})",
                self.name,
                pairs.collect::<Vec<_>>().join(" AND ")
            );
            self.count(&sql, |count| {
                format!("{count} rows refer by {name} to rows of {parent} that are not there")
            })?;
        }
        Ok(())
    }
}
