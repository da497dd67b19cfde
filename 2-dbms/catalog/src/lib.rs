//! The catalogue: what exists, by name and by object id.
//!
//! A [`Catalog`] is an immutable value behind an `Arc`: a statement is analysed against one, DDL makes
//! a changed copy and publishes it at commit. Objects are shared between copies, so a copy costs a few
//! map clones. Every object is plain data that serialises to JSON, the form in which the log carries it;
//! expressions (defaults, checks, index expressions, bodies) are kept as SQL text and bound by who uses them.

mod export;
mod host_rules;
mod objects;
mod policies;
mod predefined;
mod relationships;
mod rights;
mod roles;
mod sequence;
mod special;
mod statistics;
mod types;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use export::Export;
pub use host_rules::*;
pub use objects::*;
pub use policies::*;
pub use predefined::THE_DATABASE;
pub use relationships::*;
pub use rights::*;
pub use roles::*;
pub use sequence::*;
pub use special::SPECIAL_FUNCTIONS_MAX;
use special::Specials;
pub use statistics::*;
use tuplix_types::TypeId;
pub use types::*;

/// Everything that exists at one moment.
#[derive(Clone, Debug)]
pub struct Catalog {
    version: u64,
    next_oid: u32,
    schemas: BTreeMap<String, SchemaDef>,
    tables: BTreeMap<TableId, Arc<TableDef>>,
    table_names: BTreeMap<(String, String), TableId>,
    functions: BTreeMap<FunctionId, Arc<FunctionDef>>,
    function_names: BTreeMap<(String, String), Vec<FunctionId>>,
    index_names: BTreeMap<(String, String), TableId>,
    sequences: BTreeMap<SequenceId, Arc<SequenceDef>>,
    sequence_names: BTreeMap<(String, String), SequenceId>,
    types: BTreeMap<TypeId, Arc<TypeDef>>,
    type_names: BTreeMap<(String, String), TypeId>,
    specials: Arc<Specials>,
    comments: BTreeMap<Described, Arc<str>>,
    statistics: BTreeMap<TableId, Arc<TableStatistics>>,
    roles: BTreeMap<RoleId, Arc<RoleDef>>,
    role_settings: BTreeMap<(RoleId, bool), Arc<RoleSettings>>,
    rights: BTreeMap<Owned, Arc<Rights>>,
    default_rights: BTreeMap<(RoleId, Option<u32>, RightsKind), Acl>,
    host_rules: BTreeMap<i32, Arc<HostRule>>,
}

/// One change to a catalogue, as the log carries it.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatalogChange {
    /// A schema was created or changed.
    PutSchema(SchemaDef),
    /// A schema was dropped.
    DropSchema(String),
    /// A table was created or changed: columns, constraints, indexes, distribution.
    PutTable(TableDef),
    /// A table was changed and its rows with it: the old ones are gone, the record's inserts bring the new ones.
    RewriteTable(TableDef),
    /// A table was dropped, its rows with it.
    DropTable(TableId),
    /// A table lost all its rows.
    TruncateTable(TableId),
    /// A function was created or changed.
    PutFunction(FunctionDef),
    /// A function was dropped.
    DropFunction(FunctionId),
    /// A sequence was created or changed.
    PutSequence(SequenceDef),
    /// A sequence was dropped.
    DropSequence(SequenceId),
    /// A sequence stands elsewhere; the catalogue does not know where.
    SetSequence {
        /// Which.
        id: SequenceId,
        /// Its last value, or its next one when it was not called yet.
        value: i64,
        /// Whether `value` was given.
        called: bool,
    },
    /// A type was created or changed.
    PutType(TypeDef),
    /// A type was dropped.
    DropType(TypeId),
    /// An object, or a column of it, has a comment now, or none.
    Comment {
        /// What it is about.
        about: Described,
        /// The comment.
        text: Option<String>,
    },
    /// ANALYZE has looked at a table: all that is known of it now.
    PutStatistics(TableStatistics),
    /// Rows of a spooled table that have left memory are forgotten, in whole blocks.
    ForgetSpooled {
        /// Which.
        table: TableId,
        /// The column's position.
        column: usize,
        /// Of no row that goes is the column at this moment or after it.
        before: i64,
        /// What goes. `None` in logs of earlier commits: what there is then that is old enough.
        #[serde(default)]
        blocks: Option<Vec<ForgottenBlocks>>,
    },
    /// A role was created or changed: attributes, password, memberships.
    PutRole(RoleDef),
    /// A role was dropped; nobody is a member of it any more.
    DropRole(RoleId),
    /// The settings that sessions begin with are these now.
    PutRoleSettings(RoleSettings),
    /// An object has these rights now.
    PutRights(Rights),
    /// Objects to come have these rights.
    PutDefaultRights(DefaultRights),
    /// A host rule was made or changed.
    PutHostRule(HostRule),
    /// A host rule was dropped.
    DropHostRule(i32),
}

/// Blocks of a segment of a spooled table.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ForgottenBlocks {
    /// The epoch in the segment's name.
    pub epoch: u64,
    /// The first block.
    pub first: u32,
    /// How many.
    pub blocks: u32,
    /// Where their rows were in memory, for a start that has them there. Empty in logs of earlier commits and of the first segments.
    #[serde(default)]
    pub chunks: Vec<ForgottenChunks>,
}

/// Full chunks of a bucket, one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ForgottenChunks {
    /// The bucket.
    pub bucket: u16,
    /// The first row slot.
    pub slot: u32,
    /// How many chunks.
    pub chunks: u32,
}

/// What a comment is about, as `pg_description` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Described {
    /// The system table that lists the object.
    pub class: u32,
    /// The object.
    pub object: u32,
    /// A column's number from 1; 0: the object itself.
    pub part: u32,
}

/// `pg_class`
pub const CLASS_RELATION: u32 = 1259;
/// `pg_constraint`
pub const CLASS_CONSTRAINT: u32 = 2606;
/// `pg_database`
pub const CLASS_DATABASE: u32 = 1262;
/// `pg_authid`
pub const CLASS_ROLE: u32 = 1260;
/// `pg_trigger`
pub const CLASS_TRIGGER: u32 = 2620;
/// `pg_type`
pub const CLASS_TYPE: u32 = 1247;
/// `pg_proc`
pub const CLASS_FUNCTION: u32 = 1255;
/// `pg_namespace`
pub const CLASS_SCHEMA: u32 = 2615;

/// The parts of a table that can have comments, each with the system table that lists it.
fn parts_of(table: &TableDef) -> Vec<(u32, u32)> {
    let mut parts = Vec::new();
    for index in &table.indexes {
        parts.extend([(CLASS_RELATION, index.id.0), (CLASS_CONSTRAINT, index.id.0)]);
    }
    parts.extend(table.foreign_keys.iter().map(|key| (CLASS_CONSTRAINT, key.id)));
    parts.extend(table.triggers.iter().map(|trigger| (CLASS_TRIGGER, trigger.id)));
    let checks = table.checks.iter().map(|check| check.oid).filter(|oid| *oid != 0);
    parts.extend(checks.map(|oid| (CLASS_CONSTRAINT, oid)));
    parts
}

/// The constraints of a domain that can have comments.
fn domain_parts(ty: &TypeDef) -> Vec<u32> {
    let checks = ty.domain().into_iter().flat_map(|domain| &domain.checks);
    checks.map(|check| check.oid).filter(|oid| *oid != 0).collect()
}

impl Default for Catalog {
    fn default() -> Self {
        Catalog::new()
    }
}

impl Catalog {
    /// The catalogue of a new node: the schemas `public` and `pg_catalog`.
    pub fn new() -> Catalog {
        let mut catalog = Catalog {
            version: 1,
            next_oid: tuplix_types::TypeId::FIRST_USER,
            schemas: BTreeMap::new(),
            tables: BTreeMap::new(),
            table_names: BTreeMap::new(),
            functions: BTreeMap::new(),
            function_names: BTreeMap::new(),
            index_names: BTreeMap::new(),
            sequences: BTreeMap::new(),
            sequence_names: BTreeMap::new(),
            types: BTreeMap::new(),
            type_names: BTreeMap::new(),
            specials: Arc::new(Specials::new(1)),
            comments: BTreeMap::new(),
            statistics: BTreeMap::new(),
            roles: BTreeMap::from([(RoleId::BOOTSTRAP, Arc::new(RoleDef::bootstrap()))]),
            role_settings: BTreeMap::new(),
            rights: BTreeMap::new(),
            default_rights: BTreeMap::new(),
            host_rules: HostRule::initial(),
        };
        catalog.roles.extend(predefined::predefined().map(|role| (role.id, Arc::new(role))));
        for (oid, name) in [(11, "pg_catalog"), (2200, "public")] {
            catalog.schemas.insert(name.to_owned(), SchemaDef { oid, name: name.to_owned() });
        }
        catalog
    }

    /// Grows with every change; a plan bound against an older one is bound again.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// A fresh object id.
    pub fn allocate_oid(&mut self) -> u32 {
        let oid = self.next_oid;
        self.next_oid += 1;
        oid
    }

    /// Makes one change; the same whether it comes from DDL or from the log.
    pub fn apply(&mut self, change: CatalogChange) {
        self.version += 1;
        self.specials = Arc::new(Specials::new(self.version));
        match change {
            CatalogChange::PutSchema(schema) => {
                self.saw_oid(schema.oid);
                self.schemas.insert(schema.name.clone(), schema);
            }
            CatalogChange::DropSchema(name) => {
                let renamed = |oid| self.schemas.values().any(|other| other.oid == oid && other.name != name);
                if let Some(oid) = self.schemas.get(&name).map(|old| old.oid).filter(|oid| !renamed(*oid)) {
                    self.forget_comments(CLASS_SCHEMA, oid);
                }
                self.schemas.remove(&name);
            }
            CatalogChange::PutTable(table) | CatalogChange::RewriteTable(table) => self.put_table(table),
            CatalogChange::DropTable(id) => {
                if let Some(table) = self.tables.get(&id).cloned() {
                    parts_of(&table).into_iter().for_each(|(class, part)| self.forget_comments(class, part));
                }
                self.forget_comments(CLASS_RELATION, id.0);
                self.remove_table(id);
                self.statistics.remove(&id);
            }
            CatalogChange::PutStatistics(statistics) => {
                self.statistics.insert(statistics.table, Arc::new(statistics));
            }
            CatalogChange::TruncateTable(_) => {}
            CatalogChange::PutFunction(function) => self.put_function(function),
            CatalogChange::PutSequence(sequence) => self.put_sequence(sequence),
            CatalogChange::DropSequence(id) => {
                self.forget_comments(CLASS_RELATION, id.0);
                self.remove_sequence(id);
            }
            CatalogChange::SetSequence { .. } | CatalogChange::ForgetSpooled { .. } => {}
            CatalogChange::PutType(ty) => {
                let kept = domain_parts(&ty);
                let old = self.types.get(&ty.id).map(|old| domain_parts(old)).unwrap_or_default();
                let gone = old.into_iter().filter(|part| !kept.contains(part));
                gone.for_each(|part| self.forget_comments(CLASS_CONSTRAINT, part));
                kept.into_iter().for_each(|part| self.saw_oid(part));
                self.put_type(ty);
            }
            CatalogChange::DropType(id) => {
                self.forget_comments(CLASS_TYPE, id.0);
                if let Some(ty) = self.types.get(&id).cloned() {
                    domain_parts(&ty)
                        .into_iter()
                        .for_each(|part| self.forget_comments(CLASS_CONSTRAINT, part));
                }
                self.remove_type(id);
            }
            CatalogChange::DropFunction(id) => {
                self.forget_comments(CLASS_FUNCTION, id.0);
                self.remove_function(id);
            }
            CatalogChange::Comment { about, text: Some(text) } => {
                self.comments.insert(about, text.into());
            }
            CatalogChange::Comment { about, text: None } => {
                self.comments.remove(&about);
            }
            CatalogChange::PutRole(role) => self.put_role(role),
            CatalogChange::DropRole(id) => self.drop_role(id),
            CatalogChange::PutRoleSettings(settings) => self.put_role_settings(settings),
            CatalogChange::PutRights(rights) => self.put_rights(rights),
            CatalogChange::PutDefaultRights(rights) => self.put_default_rights(rights),
            CatalogChange::PutHostRule(rule) => {
                self.host_rules.insert(rule.number, Arc::new(rule));
            }
            CatalogChange::DropHostRule(number) => {
                self.host_rules.remove(&number);
            }
        }
    }

    fn forget_comments(&mut self, class: u32, object: u32) {
        self.comments.retain(|about, _| (about.class, about.object) != (class, object));
        self.forget_rights(class, object);
    }

    /// The comment on an object or column.
    pub fn comment(&self, about: Described) -> Option<&str> {
        self.comments.get(&about).map(|text| &**text)
    }

    /// All comments.
    pub fn comments(&self) -> impl Iterator<Item = (&Described, &str)> {
        self.comments.iter().map(|(about, text)| (about, &**text))
    }

    fn saw_oid(&mut self, oid: u32) {
        self.next_oid = self.next_oid.max(oid + 1);
    }

    fn put_table(&mut self, table: TableDef) {
        if let (Some(old), Some(known)) = (self.tables.get(&table.id), self.statistics.get(&table.id))
            && old.columns != table.columns
        {
            let carried = known.carried(&old.columns, &table.columns);
            self.statistics.insert(table.id, Arc::new(carried));
        }
        if let Some(old) = self.tables.get(&table.id).filter(|_| !self.comments.is_empty()) {
            let kept = parts_of(&table);
            let gone: Vec<(u32, u32)> =
                parts_of(old).into_iter().filter(|part| !kept.contains(part)).collect();
            gone.into_iter().for_each(|(class, part)| self.forget_comments(class, part));
        }
        self.remove_table(table.id);
        self.saw_oid(table.id.0);
        table.checks.iter().for_each(|check| self.saw_oid(check.oid));
        table.foreign_keys.iter().for_each(|key| self.saw_oid(key.id));
        table.triggers.iter().for_each(|trigger| self.saw_oid(trigger.id));
        table.row_security.policies.iter().for_each(|policy| self.saw_oid(policy.id));
        for index in &table.indexes {
            self.saw_oid(index.id.0);
            self.index_names.insert((table.schema.clone(), index.name.clone()), table.id);
        }
        self.table_names.insert((table.schema.clone(), table.name.clone()), table.id);
        self.tables.insert(table.id, Arc::new(table));
    }

    fn remove_table(&mut self, id: TableId) {
        if let Some(old) = self.tables.remove(&id) {
            self.table_names.remove(&(old.schema.clone(), old.name.clone()));
            self.index_names.retain(|_, table| *table != id);
        }
    }

    fn put_function(&mut self, function: FunctionDef) {
        self.remove_function(function.id);
        self.saw_oid(function.id.0);
        let key = (function.schema.clone(), function.name.clone());
        self.function_names.entry(key).or_default().push(function.id);
        self.functions.insert(function.id, Arc::new(function));
    }

    fn remove_function(&mut self, id: FunctionId) {
        if let Some(old) = self.functions.remove(&id) {
            let key = (old.schema.clone(), old.name.clone());
            if let Some(ids) = self.function_names.get_mut(&key) {
                ids.retain(|other| *other != id);
                if ids.is_empty() {
                    self.function_names.remove(&key);
                }
            }
        }
    }

    fn put_sequence(&mut self, sequence: SequenceDef) {
        self.remove_sequence(sequence.id);
        self.saw_oid(sequence.id.0);
        self.sequence_names.insert((sequence.schema.clone(), sequence.name.clone()), sequence.id);
        self.sequences.insert(sequence.id, Arc::new(sequence));
    }

    fn remove_sequence(&mut self, id: SequenceId) {
        if let Some(old) = self.sequences.remove(&id) {
            self.sequence_names.remove(&(old.schema.clone(), old.name.clone()));
        }
    }

    /// The sequence with this id.
    pub fn sequence(&self, id: SequenceId) -> Option<&Arc<SequenceDef>> {
        self.sequences.get(&id)
    }

    /// The sequence of this name in this schema.
    pub fn sequence_named(&self, schema: &str, name: &str) -> Option<&Arc<SequenceDef>> {
        let id = self.sequence_names.get(&(schema.to_owned(), name.to_owned()))?;
        self.sequences.get(id)
    }

    /// All sequences by id.
    pub fn sequences(&self) -> impl Iterator<Item = &Arc<SequenceDef>> {
        self.sequences.values()
    }

    /// The sequences that belong to columns of a table.
    pub fn sequences_of(&self, table: TableId) -> impl Iterator<Item = &Arc<SequenceDef>> {
        self.sequences
            .values()
            .filter(move |sequence| sequence.owner.is_some_and(|owner| owner.table == table))
    }

    /// The sequence of an identity column.
    pub fn identity_sequence(&self, table: TableId, column: usize) -> Option<&Arc<SequenceDef>> {
        let wanted = SequenceOwner { table, column, identity: true };
        self.sequences.values().find(|sequence| sequence.owner == Some(wanted))
    }

    /// The foreign keys that refer to a table, with the tables that have them.
    pub fn references_to(&self, table: TableId) -> impl Iterator<Item = (&Arc<TableDef>, &ForeignKeyDef)> {
        let keys = |child| {
            let child: &Arc<TableDef> = child;
            child.foreign_keys.iter().map(move |key| (child, key))
        };
        self.tables.values().flat_map(keys).filter(move |(_, key)| key.parent == table)
    }

    /// The schema of this name.
    pub fn schema(&self, name: &str) -> Option<&SchemaDef> {
        self.schemas.get(name)
    }

    /// All schemas by name.
    pub fn schemas(&self) -> impl Iterator<Item = &SchemaDef> {
        self.schemas.values()
    }

    /// The table with this id.
    pub fn table(&self, id: TableId) -> Option<&Arc<TableDef>> {
        self.tables.get(&id)
    }

    /// What ANALYZE has found out about a table.
    pub fn statistics(&self, id: TableId) -> Option<&Arc<TableStatistics>> {
        self.statistics.get(&id)
    }

    /// The table of this name in this schema.
    pub fn table_named(&self, schema: &str, name: &str) -> Option<&Arc<TableDef>> {
        let id = self.table_names.get(&(schema.to_owned(), name.to_owned()))?;
        self.tables.get(id)
    }

    /// The table of this name in the first schema of the path that has one.
    pub fn table_on_path(&self, path: &[String], name: &str) -> Option<&Arc<TableDef>> {
        path.iter().find_map(|schema| self.table_named(schema, name))
    }

    /// All tables by id.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<TableDef>> {
        self.tables.values()
    }

    /// The table that has an index of this name in this schema.
    pub fn table_of_index(&self, schema: &str, index: &str) -> Option<&Arc<TableDef>> {
        let id = self.index_names.get(&(schema.to_owned(), index.to_owned()))?;
        self.tables.get(id)
    }

    /// The function with this id.
    pub fn function(&self, id: FunctionId) -> Option<&Arc<FunctionDef>> {
        if id.is_special() { self.specials.find(id) } else { self.functions.get(&id) }
    }

    /// The function that users know, for one made for a kind of call.
    pub fn known_function(&self, id: FunctionId) -> FunctionId {
        if id.is_special() { self.specials.base(id).unwrap_or(id) } else { id }
    }

    /// A row type without a name for a record whose columns are known; `None` when this version has too many.
    pub fn anonymous_row(&self, fields: &[FieldDef]) -> Option<TypeId> {
        self.specials.row(fields)
    }

    /// The id of a function made for one kind of call; `function.id` is that of the function it was made from.
    /// `None` when this version has too many ([`SPECIAL_FUNCTIONS_MAX`]).
    pub fn specialise(&self, function: FunctionDef) -> Option<FunctionId> {
        self.specials.add(function)
    }

    /// The functions of this name in this schema.
    pub fn functions_named<'a>(
        &'a self,
        schema: &str,
        name: &str,
    ) -> impl Iterator<Item = &'a Arc<FunctionDef>> {
        self.function_names
            .get(&(schema.to_owned(), name.to_owned()))
            .into_iter()
            .flatten()
            .filter_map(|id| self.functions.get(id))
    }

    /// All functions by id.
    pub fn functions(&self) -> impl Iterator<Item = &Arc<FunctionDef>> {
        self.functions.values()
    }
}
