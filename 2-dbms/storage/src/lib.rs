//! Rows in typed column chunks copied on write, and the indexes over them
