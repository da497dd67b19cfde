//! CREATE and DROP EXTENSION. There are `plpgsql` and `tuplix`, from the start.

use tuplix_types::{SqlError, sqlstate};

use super::Work;
use crate::stop::Run;

const INSTALLED: [&str; 2] = ["plpgsql", "tuplix"];

impl Work<'_, '_> {
    pub(super) fn create_extension(&mut self, name: &str, if_not_exists: bool) -> Run<&'static str> {
        if !INSTALLED.contains(&name) {
            let message = format!("extension \"{name}\" is not available");
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message)
                .detail("Tuplix has no extensions but plpgsql and its own.")
                .into());
        }
        let message = format!("extension \"{name}\" already exists");
        if !if_not_exists {
            return Err(SqlError::new(sqlstate::DUPLICATE_OBJECT, message).into());
        }
        self.skip(sqlstate::DUPLICATE_OBJECT, format!("{message}, skipping"));
        Ok("CREATE EXTENSION")
    }

    pub(super) fn drop_extension(&mut self, name: &str, if_exists: bool) -> Run<&'static str> {
        if INSTALLED.contains(&name) {
            return Err(SqlError::unsupported(format_args!("dropping the extension {name}")).into());
        }
        let message = format!("extension \"{name}\" does not exist");
        if !if_exists {
            return Err(SqlError::new(sqlstate::UNDEFINED_OBJECT, message).into());
        }
        self.skip(sqlstate::SUCCESSFUL_COMPLETION, format!("{message}, skipping"));
        Ok("DROP EXTENSION")
    }
}
