//! Objects by name and names of objects: what `regclass` and its kin read and print, and what is visible.

use std::sync::Arc;

use tuplix_catalog::{Catalog, FunctionDef, FunctionId, RoleId, SequenceId, TableDef, TableId};
use tuplix_sql::parser::{self, quote_ident};
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::relations::{self, SystemRelation};
use super::routine::support_names;
use super::view::View;

/// The text of an object id of type `regclass`, `regproc`, ...; `None` when there is no such object.
pub(crate) fn object_name(view: &View<'_>, reg_type: TypeId, oid: u32) -> Option<String> {
    match reg_type {
        _ if oid == 0 => Some("-".to_owned()),
        TypeId::REGCLASS => relation_name(view, oid),
        TypeId::REGPROC => function_name(view, oid),
        TypeId::REGPROCEDURE => procedure_name(view, oid),
        TypeId::REGTYPE => view.catalog().type_name(TypeId(oid), Some(&view.path)),
        TypeId::REGNAMESPACE => {
            let schemas = view.schemas();
            schemas.iter().find(|(schema, _)| *schema == oid).map(|(_, name)| quote_ident(name))
        }
        TypeId::REGROLE => view.catalog().role(RoleId(oid)).map(|role| quote_ident(&role.name)),
        _ => None,
    }
}

/// The object id that such a text means.
///
/// # Errors
/// PostgreSQL's for each type when there is no such object.
pub(crate) fn object_id(view: &View<'_>, reg_type: TypeId, text: &str) -> Result<u32> {
    let text = text.trim();
    if text == "-" {
        return Ok(0);
    }
    if let Ok(oid) = text.parse() {
        return Ok(oid);
    }
    let absent = |state, what: &str| {
        let shown = text.replace('"', "");
        Err(SqlError::new(state, format!("{what} \"{shown}\" does not exist")))
    };
    match (find(view, reg_type, text)?, reg_type) {
        (Some(oid), _) => Ok(oid),
        (None, TypeId::REGCLASS) => absent(sqlstate::UNDEFINED_TABLE, "relation"),
        (None, TypeId::REGTYPE) => absent(sqlstate::UNDEFINED_OBJECT, "type"),
        (None, TypeId::REGNAMESPACE) => absent(sqlstate::INVALID_SCHEMA_NAME, "schema"),
        (None, TypeId::REGROLE) => absent(sqlstate::UNDEFINED_OBJECT, "role"),
        (None, _) => absent(sqlstate::UNDEFINED_FUNCTION, "function"),
    }
}

/// The object of this name, for `to_regclass` and its kin.
///
/// # Errors
/// 42602 for what is no name, 42725 for a function's name that several have.
pub(crate) fn find(view: &View<'_>, reg_type: TypeId, text: &str) -> Result<Option<u32>> {
    let invalid = || SqlError::new(sqlstate::INVALID_NAME, "invalid name syntax");
    match reg_type {
        TypeId::REGTYPE => Ok(type_by_name(view.catalog(), &view.path, text).ok().map(|ty| ty.0)),
        TypeId::REGPROC => function_oid(view, text),
        TypeId::REGPROCEDURE => procedure_oid(view, text),
        TypeId::REGCLASS => {
            let parts = split_name(text).ok_or_else(invalid)?;
            Ok(relation_oid(view, &parts))
        }
        _ => {
            let parts = split_name(text).ok_or_else(invalid)?;
            let [name] = &parts[..] else { return Err(invalid()) };
            Ok(match reg_type {
                TypeId::REGROLE => view.catalog().role_named(name).map(|role| role.id.0),
                _ => view.schemas().iter().find(|(_, schema)| schema == name).map(|(oid, _)| *oid),
            })
        }
    }
}

/// Whether the search path leads to a table by its bare name.
pub(crate) fn is_visible(view: &View<'_>, table: &TableDef) -> bool {
    let system = !view.path.iter().any(|schema| schema == "pg_catalog")
        && relations::find("pg_catalog", &table.name).is_some();
    let found = view.catalog().table_on_path(&view.path, &table.name);
    !system && found.is_some_and(|found| found.id == table.id)
}

/// Whether the search path leads to a system table by its bare name.
pub(crate) fn is_system_visible(view: &View<'_>, relation: &SystemRelation) -> bool {
    relation.schema == "pg_catalog"
        || (relation.schema == "information_schema"
            && view.path.iter().any(|schema| schema == "information_schema")
            && view.catalog().table_on_path(&view.path, relation.name).is_none())
}

/// Whether a relation can be named without its schema; `None` when there is none with this object id.
pub(crate) fn relation_is_visible(view: &View<'_>, oid: u32) -> Option<bool> {
    if let Some(table) = view.catalog().table(TableId(oid)) {
        return Some(is_visible(view, table));
    }
    if let Some(relation) = relations::with_oid(oid) {
        return Some(is_system_visible(view, relation));
    }
    if let Some(def) = view.catalog().sequence(SequenceId(oid)) {
        let exists = |schema: &&String| crate::ddl::names::relation_exists(view.catalog(), schema, &def.name);
        return Some(view.path.iter().find(exists) == Some(&def.schema));
    }
    let composite = TypeId::user(tuplix_types::UserKind::Composite, oid);
    if view.catalog().user_type(composite).is_some() {
        return super::user_types::is_visible(view, composite);
    }
    let (table, index) = view.index(oid)?;
    let path = view.path.iter();
    let first = path
        .filter(|schema| crate::ddl::names::relation_exists(view.catalog(), schema, &index.name))
        .map(String::as_str)
        .next();
    Some(first == Some(table.schema.as_str()))
}

/// The name of a table or index as `regclass` prints it: with its schema when the path does not lead to it.
pub(crate) fn relation_name(view: &View<'_>, oid: u32) -> Option<String> {
    let visible = relation_is_visible(view, oid)?;
    let (schema, name) = relation_names(view, oid)?;
    Some(if visible {
        quote_ident(&name)
    } else {
        format!("{}.{}", quote_ident(&schema), quote_ident(&name))
    })
}

/// Schema and name of a relation.
fn relation_names(view: &View<'_>, oid: u32) -> Option<(String, String)> {
    if let Some(table) = view.catalog().table(TableId(oid)) {
        return Some((table.schema.clone(), table.name.clone()));
    }
    if let Some(relation) = relations::with_oid(oid) {
        return Some((relation.schema.to_owned(), relation.name.to_owned()));
    }
    if let Some(def) = view.catalog().sequence(SequenceId(oid)) {
        return Some((def.schema.clone(), def.name.clone()));
    }
    let composite = tuplix_types::TypeId::user(tuplix_types::UserKind::Composite, oid);
    if let Some(ty) = view.catalog().user_type(composite) {
        return Some((ty.schema.clone(), ty.name.clone()));
    }
    view.index(oid).map(|(table, index)| (table.schema.clone(), index.name.clone()))
}

fn relation_oid(view: &View<'_>, parts: &[String]) -> Option<u32> {
    let catalog = view.catalog();
    let in_schema = |schema: &str, name: &str, system: bool| {
        if let Some(table) = catalog.table_named(schema, name) {
            return Some(table.id.0);
        }
        if let Some(def) = catalog.sequence_named(schema, name) {
            return Some(def.id.0);
        }
        if let Some(relation) = relations::find(schema, name).filter(|_| system) {
            return Some(relation.oid);
        }
        if let Some(ty) = catalog.user_type_named(schema, name).filter(|ty| ty.id.is_composite()) {
            return Some(ty.id.object());
        }
        let table = catalog.table_of_index(schema, name)?;
        table.indexes.iter().find(|index| index.name == name).map(|index| index.id.0)
    };
    match parts {
        [name] => {
            let listed = view.path.iter().any(|schema| schema == "pg_catalog");
            let first = (!listed).then_some("pg_catalog");
            let mut path = first.into_iter().chain(view.path.iter().map(String::as_str));
            // `tuplix` is also a user's name: its system tables are found by their full names only.
            path.find_map(|schema| in_schema(schema, name, schema != "tuplix"))
        }
        [schema, name] | [_, schema, name] => in_schema(schema, name, true),
        _ => None,
    }
}

/// A function's name as `regproc` prints it: with its schema when the bare name would not find it alone.
pub(crate) fn function_name(view: &View<'_>, oid: u32) -> Option<String> {
    let (schema, name, _) = function_parts(view, oid)?;
    let alone = candidates(view, std::slice::from_ref(&name)).iter().map(|(found, _)| *found).eq([oid]);
    Some(if alone { quote_ident(&name) } else { format!("{}.{}", quote_ident(&schema), quote_ident(&name)) })
}

/// Whether a function is found by its bare name and argument types.
pub(crate) fn function_is_visible(view: &View<'_>, oid: u32) -> Option<bool> {
    let (_, name, types) = function_parts(view, oid)?;
    let found = candidates(view, &[name]);
    Some(found.iter().find(|(_, other)| *other == types).is_some_and(|(first, _)| *first == oid))
}

fn procedure_name(view: &View<'_>, oid: u32) -> Option<String> {
    let (schema, name, types) = function_parts(view, oid)?;
    let types: Vec<String> = types.iter().map(ToString::to_string).collect();
    let prefix = match function_is_visible(view, oid) {
        Some(true) => String::new(),
        _ => format!("{}.", quote_ident(&schema)),
    };
    Some(format!("{prefix}{}({})", quote_ident(&name), types.join(",")))
}

/// Schema, name and argument types.
fn function_parts(view: &View<'_>, oid: u32) -> Option<(String, String, Vec<TypeId>)> {
    if let Some(function) = view.catalog().function(FunctionId(oid)) {
        let types = function.inputs().map(|input| input.ty).collect();
        return Some((function.schema.clone(), function.name.clone(), types));
    }
    if let Some(function) = tuplix_functions::lookup_function(oid) {
        return Some(("pg_catalog".to_owned(), function.name.to_owned(), function.args.to_vec()));
    }
    let (_, name) = support_names().find(|(support, _)| *support == oid)?;
    Some(("pg_catalog".to_owned(), name.to_owned(), Vec::new()))
}

/// The functions that a name means, those of the first schema on the path first.
fn candidates(view: &View<'_>, parts: &[String]) -> Vec<(u32, Vec<TypeId>)> {
    let built_in = |name: &str| {
        let found = tuplix_functions::functions_named(name).iter();
        let mut found: Vec<_> = found.map(|function| (function.oid, function.args.to_vec())).collect();
        if found.is_empty() {
            let support = support_names().find(|(_, support)| *support == name);
            found.extend(support.map(|(oid, _)| (oid, Vec::new())));
        }
        found
    };
    let of_schema = |schema: &str, name: &str| {
        let found = view.catalog().functions_named(schema, name);
        let user = found.map(|function| (function.id.0, function.inputs().map(|input| input.ty).collect()));
        user.collect::<Vec<_>>()
    };
    let (schemas, name): (Vec<&str>, &str) = match parts {
        [name] => {
            let mut schemas: Vec<&str> = view.path.iter().map(String::as_str).collect();
            if !schemas.contains(&"pg_catalog") {
                schemas.insert(0, "pg_catalog");
            }
            (schemas, name)
        }
        [schema, name] | [_, schema, name] => (vec![schema], name),
        _ => return Vec::new(),
    };
    let mut found: Vec<(u32, Vec<TypeId>)> = Vec::new();
    for schema in schemas {
        let here = if schema == "pg_catalog" { built_in(name) } else { of_schema(schema, name) };
        let new: Vec<_> =
            here.into_iter().filter(|(_, types)| !found.iter().any(|(_, other)| other == types)).collect();
        found.extend(new);
    }
    found
}

fn function_oid(view: &View<'_>, text: &str) -> Result<Option<u32>> {
    let parts =
        split_name(text).ok_or_else(|| SqlError::new(sqlstate::INVALID_NAME, "invalid name syntax"))?;
    let found = candidates(view, &parts);
    match &found[..] {
        [] => Ok(None),
        [(only, _)] => Ok(Some(*only)),
        _ => {
            let message = format!("more than one function named \"{text}\"");
            Err(SqlError::new(sqlstate::AMBIGUOUS_FUNCTION, message))
        }
    }
}

fn procedure_oid(view: &View<'_>, text: &str) -> Result<Option<u32>> {
    let parsed =
        text.split_once('(').and_then(|(name, types)| Some((name, types.trim_end().strip_suffix(')')?)));
    let Some((name, types)) = parsed else {
        return Err(SqlError::new(sqlstate::INVALID_TEXT_REPRESENTATION, "expected a left parenthesis"));
    };
    let parts =
        split_name(name).ok_or_else(|| SqlError::new(sqlstate::INVALID_NAME, "invalid name syntax"))?;
    let wanted = parse_types(view.catalog(), &view.path, types)?;
    Ok(candidates(view, &parts).into_iter().find(|(_, types)| *types == wanted).map(|(oid, _)| oid))
}

/// Splits `a."B".c` into its parts, unquoted ones in lower case.
pub(crate) fn split_name(name: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = name.trim();
    loop {
        let part;
        if let Some(mut quoted) = rest.strip_prefix('"') {
            let mut text = String::new();
            loop {
                let end = quoted.find('"')?;
                text.push_str(&quoted[..end]);
                quoted = &quoted[end + 1..];
                let Some(more) = quoted.strip_prefix('"') else { break };
                text.push('"');
                quoted = more;
            }
            (part, rest) = (text, quoted);
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            (part, rest) = (rest[..end].trim().to_lowercase(), &rest[end..]);
        }
        if part.is_empty() {
            return None;
        }
        parts.push(part);
        rest = rest.trim_start();
        match rest.strip_prefix('.') {
            Some(more) => rest = more.trim_start(),
            None => return rest.is_empty().then_some(parts),
        }
    }
}

/// The function that `name(type, type)` names; the types may be left out when the name is enough.
///
/// # Errors
/// 42883 when there is none, 42725 when there are several.
pub fn function_by_signature(
    catalog: &Catalog,
    signature: &str,
    path: &[String],
) -> Result<Arc<FunctionDef>> {
    let (name, types) = match signature.split_once('(') {
        Some((name, types)) => (name, Some(types.trim_end().trim_end_matches(')'))),
        None => (signature, None),
    };
    let undefined = || {
        let message = format!("function \"{signature}\" does not exist");
        SqlError::new(sqlstate::UNDEFINED_FUNCTION, message)
    };
    let parts = split_name(name).ok_or_else(undefined)?;
    let schemas: Vec<&str> = match &parts[..] {
        [_] => path.iter().map(String::as_str).collect(),
        [schema, _] => vec![schema],
        _ => return Err(undefined()),
    };
    let name = parts.last().map_or("", String::as_str);
    let wanted = match types {
        Some(types) => Some(parse_types(catalog, path, types)?),
        None => None,
    };
    let mut found =
        schemas.into_iter().flat_map(|schema| catalog.functions_named(schema, name)).filter(|function| {
            match &wanted {
                Some(types) => function.inputs().map(|input| input.ty).eq(types.iter().copied()),
                None => true,
            }
        });
    match (found.next(), found.next()) {
        (Some(function), None) => Ok(function.clone()),
        (None, _) => Err(undefined()),
        (Some(_), Some(_)) => {
            let message = format!("function name \"{signature}\" is not unique");
            Err(SqlError::new(sqlstate::AMBIGUOUS_FUNCTION, message))
        }
    }
}

fn parse_types(catalog: &Catalog, path: &[String], types: &str) -> Result<Vec<TypeId>> {
    if types.trim().is_empty() {
        return Ok(Vec::new());
    }
    types.split(',').map(|name| type_by_name(catalog, path, name)).collect()
}

/// A type by any of its names.
fn type_by_name(catalog: &Catalog, path: &[String], name: &str) -> Result<TypeId> {
    let parsed = parser::parse_type_name(name)?;
    let part = |node: &parser::protobuf::Node| match &node.node {
        Some(parser::NodeEnum::String(text)) => Some(text.sval.clone()),
        _ => None,
    };
    let parts: Vec<String> = parsed.names.iter().filter_map(part).collect();
    let found = match &parts[..] {
        [name] => TypeId::from_internal_name(name)
            .or_else(|| path.iter().find_map(|schema| catalog.type_named(schema, name))),
        [schema, name] if schema == "pg_catalog" => TypeId::from_internal_name(name),
        [schema, name] => catalog.type_named(schema, name),
        _ => None,
    };
    let found = if parsed.array_bounds.is_empty() { found } else { found.and_then(TypeId::array_of) };
    found.ok_or_else(|| {
        SqlError::new(sqlstate::UNDEFINED_OBJECT, format!("type \"{}\" does not exist", name.trim()))
    })
}
