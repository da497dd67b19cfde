//! Who a session is: who connected, what SET SESSION AUTHORIZATION and SET ROLE have made of it.
//!
//! ```text
//!   authenticated  who connected; never changes
//!   session        SET SESSION AUTHORIZATION: whose memberships decide on SET ROLE
//!   current        SET ROLE: whose rights count, `current_user`
//! ```
//! The settings `session_authorization` and `role` carry the two changes, so that transactions undo them as they undo
//! other settings. Every change of a setting goes through [`Services::assign`].

use std::cell::Cell;

use tuplix_catalog::{Catalog, RoleDef, RoleId};
use tuplix_types::{Result, SqlError, sqlstate};

use crate::node::Node;
use crate::services::Services;

/// The role of a session, in its three meanings.
pub(crate) struct Identity {
    authenticated: RoleId,
    session: Cell<RoleId>,
    current: Cell<RoleId>,
    /// SECURITY DEFINER functions that run.
    definers: Cell<u32>,
}

impl Identity {
    /// Of a session that has just begun.
    pub(crate) fn new(role: RoleId) -> Identity {
        Identity {
            authenticated: role,
            session: Cell::new(role),
            current: Cell::new(role),
            definers: Cell::new(0),
        }
    }
}

/// The error for a role that is not there.
pub(crate) fn no_role(name: &str) -> SqlError {
    SqlError::new(sqlstate::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist"))
}

/// Whether a session may begin as a role, of which `sessions` are there already.
///
/// # Errors
/// 28000 when there is no such role or it must not log in, 53300 when it has all the sessions that it may have.
pub(crate) fn admit(catalog: &Catalog, name: &str, sessions: impl Fn(RoleId) -> usize) -> Result<RoleId> {
    let invalid =
        |message: String| Err(SqlError::new(sqlstate::INVALID_AUTHORIZATION_SPECIFICATION, message));
    let Some(role) = catalog.role_named(name) else {
        return invalid(format!("role \"{name}\" does not exist"));
    };
    // Code in the node's own process need not log in.
    if !role.login && role.id != RoleId::BOOTSTRAP {
        return invalid(format!("role \"{name}\" is not permitted to log in"));
    }
    let limit = usize::try_from(role.connection_limit).unwrap_or(usize::MAX);
    if limit != usize::MAX && !role.superuser && sessions(role.id) >= limit {
        let message = format!("too many connections for role \"{name}\"");
        return Err(SqlError::new(sqlstate::TOO_MANY_CONNECTIONS, message));
    }
    Ok(role.id)
}

impl Node {
    /// The role of this name as it is committed.
    pub fn role(&self, name: &str) -> Option<RoleDef> {
        self.schema().catalog.role_named(name).map(|role| RoleDef::clone(role))
    }
}

impl Services {
    /// The role whose rights count.
    #[inline]
    pub fn current_role(&self) -> RoleId {
        self.identity.current.get()
    }

    /// The role that SET SESSION AUTHORIZATION has set, or who connected.
    #[inline]
    pub fn session_role(&self) -> RoleId {
        self.identity.session.get()
    }

    /// Lets another role's rights count from now on, as SECURITY DEFINER does; the role until now.
    #[inline]
    pub fn switch_role(&self, role: RoleId) -> RoleId {
        self.identity.current.replace(role)
    }

    /// A SECURITY DEFINER function begins: its owner's rights count; the role until now.
    pub(crate) fn enter_definer(&self, role: RoleId) -> RoleId {
        self.identity.definers.set(self.identity.definers.get() + 1);
        self.switch_role(role)
    }

    /// It has ended.
    pub(crate) fn leave_definer(&self, caller: RoleId) {
        self.identity.definers.set(self.identity.definers.get().saturating_sub(1));
        self.switch_role(caller);
    }

    /// A role's name.
    pub fn role_name(&self, role: RoleId) -> String {
        self.with_catalog(|catalog| catalog.role_name(role))
    }

    /// Sets a setting, or takes its value back: the one way for SET, `set_config` and what a client starts with.
    ///
    /// # Errors
    /// The setting's own; 22023 for a role that is not there, 42501 for one that is not permitted.
    pub(crate) fn assign(
        &self,
        name: &str,
        value: Option<&str>,
        local: bool,
        in_transaction: bool,
    ) -> Result<()> {
        let lower = name.to_ascii_lowercase();
        if matches!(lower.as_str(), "role" | "session_authorization") && self.identity.definers.get() > 0 {
            let message = format!("cannot set parameter \"{lower}\" within security-definer function");
            return Err(SqlError::new(sqlstate::INSUFFICIENT_PRIVILEGE, message));
        }
        if let Some(value) = value {
            self.check_role_setting(&lower, value)?;
        }
        let mut settings = self.settings.borrow_mut();
        match value {
            Some(value) => settings.set(name, value, local, in_transaction)?,
            None => settings.reset(Some(name), in_transaction)?,
        }
        if lower == "session_authorization" {
            settings.reset(Some("role"), in_transaction)?;
        }
        drop(settings);
        self.settle_identity();
        Ok(())
    }

    fn check_role_setting(&self, name: &str, value: &str) -> Result<()> {
        let is_role = match name {
            "role" if value == "none" => return Ok(()),
            "role" => true,
            "session_authorization" => false,
            _ => return Ok(()),
        };
        self.with_catalog(|catalog| {
            let Some(role) = catalog.role_named(value) else {
                let message = format!("role \"{value}\" does not exist");
                return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message));
            };
            let refused = if is_role {
                (!catalog.is_member_of(self.session_role(), role.id))
                    .then(|| format!("permission denied to set role \"{value}\""))
            } else {
                let own = self.identity.authenticated;
                (role.id != own && !catalog.is_superuser(own))
                    .then(|| "permission denied to set session authorization".to_owned())
            };
            match refused {
                Some(message) => Err(SqlError::new(sqlstate::INSUFFICIENT_PRIVILEGE, message)),
                None => Ok(()),
            }
        })
    }

    /// Makes the session's roles what its settings say; a role that is gone stays what it was.
    pub(crate) fn settle_identity(&self) {
        if !self.settings.borrow_mut().take_identity_changed() {
            return;
        }
        let identity = &self.identity;
        self.with_catalog(|catalog| {
            let settings = self.settings.borrow();
            let named = |setting: &str| settings.get(setting).and_then(|name| catalog.role_named(name));
            let session = match settings.is_set("session_authorization") {
                true => named("session_authorization").map_or(identity.session.get(), |role| role.id),
                false => identity.authenticated,
            };
            let current = match settings.get("role") {
                None | Some("none") => session,
                Some(_) => named("role").map_or(identity.current.get(), |role| role.id),
            };
            identity.session.set(session);
            identity.current.set(current);
        });
        let superuser = self.with_catalog(|catalog| catalog.is_superuser(self.current_role()));
        self.settings.borrow_mut().force("is_superuser", if superuser { "on" } else { "off" });
    }
}
