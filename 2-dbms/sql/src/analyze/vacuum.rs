//! ANALYZE and VACUUM. Names stay as written; the engine looks them up under the catalogue's lock.

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{DefElem, VacuumRelation, VacuumStmt};
use tuplix_types::{Result, SqlError, sqlstate};

use super::{Analyzer, nodes};
use crate::plan::{Analyze, AnalyzeTable};

/// Options of VACUUM that change nothing here: there are no dead row versions and no pages.
const WITHOUT_EFFECT: &[&str] = &[
    "full",
    "freeze",
    "disable_page_skipping",
    "skip_locked",
    "index_cleanup",
    "process_toast",
    "truncate",
    "parallel",
];

impl Analyzer<'_> {
    /// ANALYZE or VACUUM.
    pub(super) fn vacuum(&self, stmt: &VacuumStmt) -> Result<Analyze> {
        let vacuum = stmt.is_vacuumcmd;
        let mut analyze = Analyze { vacuum, analyze: !vacuum, verbose: false, tables: Vec::new() };
        for node in &stmt.options {
            let NodeEnum::DefElem(option) = nodes::inner(node)? else { return Err(nodes::missing()) };
            match option.defname.as_str() {
                "verbose" => analyze.verbose = self.on_or_off(option)?,
                "analyze" if vacuum => analyze.analyze = self.on_or_off(option)?,
                "skip_locked" => {
                    self.on_or_off(option)?;
                }
                name if vacuum && WITHOUT_EFFECT.contains(&name) => {}
                name => {
                    let command = if vacuum { "VACUUM" } else { "ANALYZE" };
                    let message = format!("unrecognized {command} option \"{name}\"");
                    return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).at(self.at(option.location)));
                }
            }
        }
        for node in &stmt.rels {
            let NodeEnum::VacuumRelation(relation) = nodes::inner(node)? else {
                return Err(nodes::missing());
            };
            analyze.tables.push(self.vacuum_table(relation)?);
        }
        if !analyze.analyze && analyze.tables.iter().any(|table| !table.columns.is_empty()) {
            let message = "ANALYZE option must be specified when a column list is provided";
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
        }
        Ok(analyze)
    }

    fn vacuum_table(&self, relation: &VacuumRelation) -> Result<AnalyzeTable> {
        let name = relation.relation.as_ref().ok_or_else(nodes::missing)?;
        // PostgreSQL gives no position for a relation that is not there.
        let name = crate::plan::QualifiedName { position: None, ..self.qualified_name(name)? };
        let columns = nodes::strings(&relation.va_cols).into_iter().map(str::to_owned).collect();
        Ok(AnalyzeTable { name, columns })
    }

    fn on_or_off(&self, option: &DefElem) -> Result<bool> {
        let value = match option.arg.as_deref().and_then(|arg| arg.node.as_ref()) {
            None => return Ok(true),
            Some(NodeEnum::String(text)) => text.sval.to_lowercase(),
            Some(NodeEnum::Integer(number)) => number.ival.to_string(),
            Some(NodeEnum::Boolean(truth)) => truth.boolval.to_string(),
            Some(_) => String::new(),
        };
        match value.as_str() {
            "on" | "true" | "1" => Ok(true),
            "off" | "false" | "0" => Ok(false),
            _ => {
                let message = format!("{} requires a Boolean value", option.defname);
                Err(SqlError::new(sqlstate::SYNTAX_ERROR, message))
            }
        }
    }
}
