//! A whole catalogue as the changes that make it: the form in which a checkpoint carries it.

use std::sync::Arc;

use crate::{CLASS_RELATION, CLASS_SCHEMA, Catalog, CatalogChange, DefaultRights, SchemaDef, SequenceId};

/// A catalogue in a checkpoint.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Export {
    /// The object id that is given next: ids of what was dropped are not given again.
    pub next_oid: u32,
    /// What makes the catalogue from a new one, in this order.
    pub changes: Vec<CatalogChange>,
}

impl Catalog {
    /// The catalogue without what is temporary, which the log does not have either; `is_temporary` tells by a schema's name.
    pub fn export(&self, is_temporary: impl Fn(&str) -> bool) -> Export {
        // All fields are named, so that a new one cannot be forgotten here. Names and versions follow from the rest.
        let Catalog {
            version: _,
            next_oid,
            schemas,
            tables,
            table_names: _,
            functions,
            function_names,
            index_names: _,
            sequences,
            sequence_names: _,
            types,
            type_names: _,
            specials: _,
            comments,
            statistics,
            roles,
            role_settings,
            rights,
            default_rights,
            host_rules,
        } = self;
        let mut changes = Vec::new();
        let initial = Catalog::new();
        // First: everything else belongs to them.
        let changed = roles.values().filter(|role| initial.roles.get(&role.id) != Some(role));
        changes.extend(changed.map(|role| CatalogChange::PutRole(role.as_ref().clone())));
        changes
            .extend(role_settings.values().map(|all| CatalogChange::PutRoleSettings(all.as_ref().clone())));
        let gone = initial.host_rules.keys().filter(|number| !host_rules.contains_key(number));
        changes.extend(gone.map(|number| CatalogChange::DropHostRule(*number)));
        let changed = host_rules.values().filter(|rule| initial.host_rules.get(&rule.number) != Some(rule));
        changes.extend(changed.map(|rule| CatalogChange::PutHostRule(rule.as_ref().clone())));
        let gone = initial.schemas.keys().filter(|name| !schemas.contains_key(*name));
        changes.extend(gone.map(|name| CatalogChange::DropSchema(name.clone())));
        let known = |schema: &SchemaDef| initial.schemas.get(&schema.name) == Some(schema);
        let kept = schemas.values().filter(|schema| !is_temporary(&schema.name) && !known(schema));
        changes.extend(kept.cloned().map(CatalogChange::PutSchema));
        changes.extend(types.values().map(|def| CatalogChange::PutType(def.as_ref().clone())));
        let kept = tables.values().filter(|table| table.temporary.is_none());
        changes.extend(kept.map(|table| CatalogChange::PutTable(table.as_ref().clone())));
        // After their tables, which would carry them over otherwise.
        let is_permanent = |id| tables.get(id).is_some_and(|table| table.temporary.is_none());
        let kept = statistics.iter().filter(|(id, _)| is_permanent(*id));
        changes.extend(kept.map(|(_, known)| CatalogChange::PutStatistics(known.as_ref().clone())));
        let kept = sequences.values().filter(|sequence| !is_temporary(&sequence.schema));
        changes.extend(kept.map(|sequence| CatalogChange::PutSequence(sequence.as_ref().clone())));
        // Functions of one name in their order.
        let ordered = function_names.values().flatten().filter_map(|id| functions.get(id));
        changes.extend(ordered.map(|function| CatalogChange::PutFunction(function.as_ref().clone())));
        let mut temporary = Vec::new();
        for table in tables.values().filter(|table| table.temporary.is_some()) {
            temporary.push(table.id.0);
            temporary.extend(table.indexes.iter().map(|index| index.id.0));
        }
        let kept = comments
            .iter()
            .filter(|(about, _)| about.class != CLASS_RELATION || !temporary.contains(&about.object));
        changes.extend(kept.map(|(about, text)| {
            let text: &Arc<str> = text;
            CatalogChange::Comment { about: *about, text: Some(text.to_string()) }
        }));
        let kept = rights.values().filter(|rights| {
            let on = rights.on;
            let schema = schemas.values().find(|schema| on.class == CLASS_SCHEMA && schema.oid == on.object);
            let sequence = sequences.get(&SequenceId(on.object)).filter(|_| on.class == CLASS_RELATION);
            let of_temporary = schema.is_some_and(|schema| is_temporary(&schema.name))
                || sequence.is_some_and(|sequence| is_temporary(&sequence.schema))
                || (on.class == CLASS_RELATION && temporary.contains(&on.object));
            !of_temporary
        });
        changes.extend(kept.map(|rights| CatalogChange::PutRights(rights.as_ref().clone())));
        changes.extend(default_rights.iter().map(|((role, schema, kind), acl)| {
            let (role, schema, kind, acl) = (*role, *schema, *kind, Some(acl.clone()));
            CatalogChange::PutDefaultRights(DefaultRights { role, schema, kind, acl })
        }));
        Export { next_oid: *next_oid, changes }
    }

    /// The catalogue that was exported. Changes that are not the catalogue's own, such as those of sequences' values, are ignored.
    pub fn import(export: &Export) -> Catalog {
        let mut catalog = Catalog::new();
        for change in &export.changes {
            catalog.apply(change.clone());
        }
        catalog.next_oid = catalog.next_oid.max(export.next_oid);
        catalog
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{Described, TableDef, TableId};

    fn table(oid: u32, name: &str) -> TableDef {
        TableDef::new(TableId(oid), "public", name, Vec::new())
    }

    /// Everything but what is temporary, and ids of dropped objects stay used.
    #[test]
    fn a_catalogue_comes_back() {
        let mut catalog = Catalog::new();
        let scratch = SchemaDef { oid: 20_000, name: "pg_temp_7".to_owned() };
        catalog.apply(CatalogChange::PutSchema(scratch));
        catalog.apply(CatalogChange::DropSchema("public".to_owned()));
        catalog.apply(CatalogChange::PutSchema(SchemaDef { oid: 20_001, name: "mine".to_owned() }));
        catalog.apply(CatalogChange::PutTable(table(20_002, "kept")));
        let hidden = TableDef { temporary: Some(crate::OnCommit::Preserve), ..table(20_003, "hidden") };
        catalog.apply(CatalogChange::PutTable(hidden));
        catalog.apply(CatalogChange::PutTable(table(30_000, "dropped")));
        catalog.apply(CatalogChange::DropTable(TableId(30_000)));
        for object in [20_002, 20_003] {
            let about = Described { class: CLASS_RELATION, object, part: 0 };
            catalog.apply(CatalogChange::Comment { about, text: Some("what it is".to_owned()) });
        }
        let export = catalog.export(|schema| schema.starts_with("pg_temp_"));
        let json = serde_json::to_string(&export).unwrap();
        let mut back = Catalog::import(&serde_json::from_str(&json).unwrap());
        let schemas: Vec<&str> = back.schemas().map(|schema| schema.name.as_str()).collect();
        assert_eq!(schemas, ["mine", "pg_catalog"]);
        let tables: Vec<&str> = back.tables().map(|table| table.name.as_str()).collect();
        assert_eq!(tables, ["kept"]);
        assert_eq!(back.comments().count(), 1);
        assert_eq!(back.export(|_| false).changes.len(), export.changes.len());
        assert_eq!(back.allocate_oid(), 30_001);
    }
}
