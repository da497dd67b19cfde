//! What bare names mean: the schemas of the search path that are there, functions' own paths, and settings that bodies change.

use std::sync::Arc;

use tuplix_catalog::FunctionDef;
use tuplix_sql::plan::SettingStatement;
use tuplix_types::Result;

use crate::services::Services;
use crate::settings::Settings;

impl Services {
    /// Calls `use_it` with the schemas of the search path that are there: what bare names mean depends on them alone.
    pub(crate) fn with_effective_path<T>(&self, use_it: impl FnOnce(&Arc<[String]>) -> T) -> T {
        let (schema, settings) = (self.schema_version(), self.settings.borrow().version());
        let mut path = self.path.borrow_mut();
        if (path.0, path.1) != (schema, settings) {
            let mut there = self.search_path();
            let schemas = self.schema();
            there.retain(|name| schemas.catalog.schema(name).is_some() || is_system_schema(name));
            *path = (schema, settings, there.into());
        }
        use_it(&path.2)
    }

    /// SET and RESET inside a function.
    ///
    /// # Errors
    /// As [`Settings::set`].
    pub(crate) fn change_setting(&self, setting: &SettingStatement) -> Result<()> {
        match setting {
            SettingStatement::Set { name, values, local } => {
                self.assign(name, Some(&Settings::listed(name, values)), *local, true)
            }
            SettingStatement::Reset(Some(name)) => self.assign(name, None, false, true),
            SettingStatement::Reset(None) => self.settings.borrow_mut().reset(None, true),
            SettingStatement::Show(_) => Ok(()),
        }
    }

    /// The search path that a function sets for itself.
    pub(crate) fn path_of_function(&self, function: &FunctionDef) -> Option<Vec<String>> {
        let (_, text) = function.settings.iter().find(|(name, _)| name == "search_path")?;
        let user = self.role_name(self.current_role());
        Some(self.with_temporary(crate::settings::path_of(text, &user)))
    }

    pub(crate) fn effective_path(&self) -> Arc<[String]> {
        self.with_effective_path(Arc::clone)
    }
}

/// A schema whose tables the engine computes, which the catalogue need not list.
fn is_system_schema(name: &str) -> bool {
    matches!(name, "pg_catalog" | "information_schema" | "tuplix")
}
