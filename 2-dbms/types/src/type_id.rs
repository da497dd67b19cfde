//! Types, named by PostgreSQL's object ids so that the wire needs no translation.

use serde::{Deserialize, Serialize};

/// A SQL type, named by its object id in `pg_type`: PostgreSQL 15's ids for built-in types.
///
/// What users create says by its id what it is (docs/adr/0006), so that code which never sees the
/// catalogue knows an array's elements and whether a value is an enum's label:
///
/// ```text
/// bit 30     the array of the type that the other bits name
/// bits 28-29 1 enum, 2 domain, 3 row type (a composite type, or the rows of a table)
/// bits 0-27  the object's id; of a table's row type the table's
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TypeId(pub u32);

macro_rules! built_in_types {
    ($($constant:ident = $oid:literal, $name:literal, $display:literal, $array:literal;)*) => {
        impl TypeId {
            $(
                #[doc = concat!("`", $display, "`")]
                pub const $constant: TypeId = TypeId($oid);
            )*

            /// The `pg_type.typname` of a built-in type: `int4`, `_int4` for its array.
            pub fn internal_name(self) -> Option<&'static str> {
                match self.0 {
                    $($oid => Some($name),)*
                    $($array if $array != 0 => Some(concat!("_", $name)),)*
                    _ => None,
                }
            }

            /// The name in error messages and `format_type`: `integer`, `integer[]`.
            pub fn display_name(self) -> Option<&'static str> {
                match self.0 {
                    $($oid => Some($display),)*
                    $($array if $array != 0 => Some(concat!($display, "[]")),)*
                    _ => None,
                }
            }

            /// The built-in type with this `pg_type.typname`.
            pub fn from_internal_name(name: &str) -> Option<TypeId> {
                match name {
                    $($name => Some(TypeId($oid)),)*
                    $(concat!("_", $name) if $array != 0 => Some(TypeId($array)),)*
                    _ => None,
                }
            }

            /// The array type whose elements are of this type.
            pub fn array_of(self) -> Option<TypeId> {
                match self.0 {
                    $($oid if $array != 0 => Some(TypeId($array)),)*
                    _ => self.user_array(),
                }
            }

            /// The element type, when this is an array type.
            pub fn element(self) -> Option<TypeId> {
                match self.0 {
                    $($array if $array != 0 => Some(TypeId($oid)),)*
                    // They are arrays of one dimension with the first subscript 0.
                    22 => Some(TypeId::INT2),
                    30 => Some(TypeId::OID),
                    _ => self.user_element(),
                }
            }

            /// Every built-in type that is not an array.
            pub const BUILT_IN: &'static [TypeId] = &[$(TypeId($oid),)*];
        }
    };
}

// constant = oid, typname, display name, oid of the array type (0: none)
built_in_types! {
    BOOL = 16, "bool", "boolean", 1000;
    BYTEA = 17, "bytea", "bytea", 1001;
    CHAR = 18, "char", "\"char\"", 1002;
    NAME = 19, "name", "name", 1003;
    INT8 = 20, "int8", "bigint", 1016;
    INT2 = 21, "int2", "smallint", 1005;
    INT2VECTOR = 22, "int2vector", "int2vector", 1006;
    INT4 = 23, "int4", "integer", 1007;
    REGPROC = 24, "regproc", "regproc", 1008;
    TEXT = 25, "text", "text", 1009;
    OID = 26, "oid", "oid", 1028;
    XID = 28, "xid", "xid", 1011;
    OIDVECTOR = 30, "oidvector", "oidvector", 1013;
    JSON = 114, "json", "json", 199;
    PG_NODE_TREE = 194, "pg_node_tree", "pg_node_tree", 0;
    FLOAT4 = 700, "float4", "real", 1021;
    FLOAT8 = 701, "float8", "double precision", 1022;
    UNKNOWN = 705, "unknown", "unknown", 0;
    INET = 869, "inet", "inet", 1041;
    ACLITEM = 1033, "aclitem", "aclitem", 1034;
    BPCHAR = 1042, "bpchar", "character", 1014;
    VARCHAR = 1043, "varchar", "character varying", 1015;
    DATE = 1082, "date", "date", 1182;
    TIME = 1083, "time", "time without time zone", 1183;
    TIMESTAMP = 1114, "timestamp", "timestamp without time zone", 1115;
    TIMESTAMPTZ = 1184, "timestamptz", "timestamp with time zone", 1185;
    INTERVAL = 1186, "interval", "interval", 1187;
    NUMERIC = 1700, "numeric", "numeric", 1231;
    REFCURSOR = 1790, "refcursor", "refcursor", 2201;
    REGPROCEDURE = 2202, "regprocedure", "regprocedure", 2207;
    REGCLASS = 2205, "regclass", "regclass", 2210;
    REGTYPE = 2206, "regtype", "regtype", 2211;
    RECORD = 2249, "record", "record", 2287;
    CSTRING = 2275, "cstring", "cstring", 1263;
    ANY = 2276, "any", "\"any\"", 0;
    ANYARRAY = 2277, "anyarray", "anyarray", 0;
    VOID = 2278, "void", "void", 0;
    TRIGGER = 2279, "trigger", "trigger", 0;
    ANYELEMENT = 2283, "anyelement", "anyelement", 0;
    ANYNONARRAY = 2776, "anynonarray", "anynonarray", 0;
    UUID = 2950, "uuid", "uuid", 2951;
    ANYENUM = 3500, "anyenum", "anyenum", 0;
    JSONB = 3802, "jsonb", "jsonb", 3807;
    JSONPATH = 4072, "jsonpath", "jsonpath", 4073;
    REGNAMESPACE = 4089, "regnamespace", "regnamespace", 4090;
    REGROLE = 4096, "regrole", "regrole", 4097;
    ANYCOMPATIBLE = 5077, "anycompatible", "anycompatible", 0;
    ANYCOMPATIBLEARRAY = 5078, "anycompatiblearray", "anycompatiblearray", 0;
}

impl TypeId {
    /// The first object id of what users create.
    pub const FIRST_USER: u32 = 16384;

    /// Whether values of this type are object ids that are shown by the object's name: `regclass` and its kin.
    pub fn is_object_name(self) -> bool {
        matches!(
            self,
            TypeId::REGCLASS
                | TypeId::REGTYPE
                | TypeId::REGPROC
                | TypeId::REGPROCEDURE
                | TypeId::REGNAMESPACE
                | TypeId::REGROLE
        )
    }

    /// Whether only the catalogue's own tables have columns of this type: nobody stores its values.
    pub fn is_catalogue_only(self) -> bool {
        let ty = self.element().filter(|_| self != TypeId::INT2VECTOR && self != TypeId::OIDVECTOR);
        matches!(
            ty.unwrap_or(self),
            TypeId::INT2VECTOR
                | TypeId::OIDVECTOR
                | TypeId::XID
                | TypeId::PG_NODE_TREE
                | TypeId::INET
                | TypeId::ACLITEM
                | TypeId::REGPROCEDURE
                | TypeId::REGROLE
        )
    }

    /// Whether values of this type hold text (`text`, `varchar`, `char(n)`, `name`).
    pub fn is_text_like(self) -> bool {
        matches!(self, TypeId::TEXT | TypeId::VARCHAR | TypeId::BPCHAR | TypeId::NAME)
    }
}

impl std::fmt::Display for TypeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.display_name() {
            Some(name) => f.write_str(name),
            // Who knows the catalogue puts the name in its place when the message leaves.
            None => write!(f, "type#{}", self.0),
        }
    }
}

impl std::fmt::Debug for TypeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}
