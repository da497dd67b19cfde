//! Values as text in messages.

use tuplix_types::{TypeId, Value};

/// A value as an error message shows it.
pub fn show(ty: TypeId, value: &Value) -> String {
    if value.is_null() {
        return "null".to_owned();
    }
    let mut text = String::new();
    tuplix_types::text_io::format_text(ty, value, &tuplix_types::text_io::IoContext::default(), &mut text);
    text
}
