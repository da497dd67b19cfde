//! The door: which host rule decides about a connection, and how rules are changed.
//!
//! Whoever serves connections asks [`Node::entry`] at each one, so that a committed change of a rule or a role counts from
//! then on. Refusals are kept outside of any transaction ([`crate::refusals`]).

use tuplix_catalog::{Caller, CatalogChange, Connections, HostRule, LoginMethod, Network, RoleDef};
use tuplix_types::{Result, SqlError, Value, sqlstate};

use crate::ddl::Work;
use crate::node::Node;
use crate::stop::Run;
use crate::transaction::Transaction;

/// Host rules that there can be.
pub const HOST_RULES_MAX: usize = 10_000;

/// What a node says of somebody at the door.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What has to be done; `None`: no rule fits.
    pub method: Option<LoginMethod>,
    /// The role, when it is there.
    pub role: Option<RoleDef>,
    /// Whether its password is no longer good.
    pub expired: bool,
}

impl Node {
    /// The rule and the role for somebody who wants to come in, as they are committed now.
    pub fn entry(&self, caller: &Caller<'_>) -> Entry {
        let schema = self.schema();
        let rule = schema.catalog.host_rule_for(caller);
        let role = schema.catalog.role_named(caller.user).map(|role| RoleDef::clone(role));
        let until = role.as_ref().and_then(|role| role.valid_until);
        let expired = until.is_some_and(|until| until < self.machine().now_us());
        Entry { method: rule.map(|rule| rule.method), role, expired }
    }

    /// Remembers a refusal.
    pub fn refuse(&self, action: &'static str, user: &str, address: Option<String>, error: &SqlError) {
        self.refusals.push(action, user, address, error);
    }
}

fn invalid(message: String) -> SqlError {
    SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message)
}

fn number(args: &[Value]) -> Result<i32> {
    let number = args.first().and_then(Value::as_i64).and_then(|number| i32::try_from(number).ok());
    number.ok_or_else(|| {
        SqlError::new(sqlstate::NULL_VALUE_NOT_ALLOWED, "a host rule's number must not be NULL")
    })
}

/// The names of a list with commas.
fn names(text: Option<&str>, what: &str) -> Result<Vec<String>> {
    let names: Vec<String> = text.unwrap_or_default().split(',').map(|name| name.trim().to_owned()).collect();
    match names.iter().any(String::is_empty) {
        true => Err(invalid(format!("a host rule needs {what}: \"all\" or names with commas between"))),
        false => Ok(names),
    }
}

fn rule(args: &[Value]) -> Result<HostRule> {
    let text = |place: usize| args.get(place).and_then(Value::as_str);
    let (kind, method) = (text(1).unwrap_or_default(), text(5).unwrap_or_default());
    let connections = Connections::parse(kind).ok_or_else(|| {
        invalid(format!("invalid connection type \"{kind}\"")).hint("Use local, host, hostssl or hostnossl.")
    })?;
    let method = LoginMethod::parse(method).ok_or_else(|| {
        invalid(format!("invalid authentication method \"{method}\""))
            .hint("Use scram-sha-256, peer, trust or reject.")
    })?;
    if method == LoginMethod::Peer && connections != Connections::Local {
        return Err(invalid("peer authentication is only supported on local sockets".to_owned()));
    }
    let address = match (connections, text(4)) {
        (Connections::Local, None) => None,
        (Connections::Local, Some(_)) => {
            return Err(invalid("a rule of the local socket has no address".to_owned()));
        }
        (_, given) => {
            let given = given.unwrap_or_default();
            let network = Network::parse(given).ok_or_else(|| {
                invalid(format!("invalid address \"{given}\""))
                    .hint("Use \"all\", an address, or an address whose last bits are zero with the number of those that count: 10.0.0.0/8.")
            })?;
            Some(network)
        }
    };
    let (databases, users) = (names(text(2), "a database")?, names(text(3), "a role")?);
    Ok(HostRule { number: number(args)?, connections, databases, users, address, method })
}

/// Begins a change of the rules.
fn change<'w, 'n>(tx: &'w mut Transaction<'n>, function: &str) -> Run<Work<'w, 'n>> {
    let work = Work::start(tx)?;
    if !work.catalog.is_superuser(work.services.current_role()) {
        let message = format!("permission denied for function {function}");
        return Err(SqlError::new(sqlstate::INSUFFICIENT_PRIVILEGE, message).into());
    }
    Ok(work)
}

/// `set_host_rule(rule_number, type, database, user_name, address, auth_method)`: makes a rule or replaces the one of this
/// number.
pub(crate) fn set_host_rule(args: &[Value], tx: &mut Transaction<'_>) -> Run<Value> {
    let rule = rule(args)?;
    let mut work = change(tx, "set_host_rule")?;
    if work.catalog.host_rule(rule.number).is_none() && work.catalog.host_rules().count() >= HOST_RULES_MAX {
        let message = format!("a node cannot have more than {HOST_RULES_MAX} host rules");
        return Err(SqlError::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, message).into());
    }
    work.change(CatalogChange::PutHostRule(rule));
    work.show()?;
    Ok(Value::Null)
}

/// `drop_host_rule(rule_number)`
pub(crate) fn drop_host_rule(args: &[Value], tx: &mut Transaction<'_>) -> Run<Value> {
    let number = number(args)?;
    let mut work = change(tx, "drop_host_rule")?;
    if work.catalog.host_rule(number).is_none() {
        let message = format!("host rule {number} does not exist");
        return Err(SqlError::new(sqlstate::UNDEFINED_OBJECT, message).into());
    }
    work.change(CatalogChange::DropHostRule(number));
    work.show()?;
    Ok(Value::Null)
}
