//! Data files: paragraphs of a statement and, after `=>`, what it gives.

use std::path::PathBuf;

/// Checks every paragraph of `analyze/testdata/name`; with `UPDATE_EXPECT` set it writes the answers instead.
pub(super) fn check_file(name: &str, answer: impl Fn(&str) -> String) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/analyze/testdata").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut written = String::new();
    let mut wrong = Vec::new();
    for paragraph in text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty()) {
        if paragraph.starts_with('#') {
            written.push_str(&format!("{paragraph}\n\n"));
            continue;
        }
        let (sql, expected) =
            paragraph.split_once("\n=> ").unwrap_or((paragraph.trim_end_matches("\n=>"), ""));
        let given = answer(sql).replace('\n', "\n   ");
        written.push_str(&format!("{sql}\n=> {given}\n\n"));
        if given != expected {
            wrong.push(format!("{sql}\n  expected {expected}\n  given    {given}"));
        }
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, format!("{}\n", written.trim_end())).unwrap();
        return;
    }
    assert!(wrong.is_empty(), "{} of {name}:\n{}", wrong.len(), wrong.join("\n"));
}

/// The statements of a data file.
pub(super) fn statements(name: &str) -> Vec<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/analyze/testdata").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    let paragraphs = text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.starts_with('#'));
    paragraphs.map(|paragraph| paragraph.split("\n=> ").next().unwrap_or_default().to_owned()).collect()
}
