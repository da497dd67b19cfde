//! Fields of comma-separated values (`CopyReadAttributesCSV`, `CopyAttributeOutCSV`).

use super::{CopyFormat, Fields};

/// Writes a field, quoted where it would be read as something else.
pub(super) fn write(text: &str, format: &CopyFormat, forced: bool, alone: bool, out: &mut Vec<u8>) {
    let (delimiter, quote, escape) = (format.delimiter, format.quote, format.escape);
    let special = |byte: &u8| *byte == delimiter || *byte == quote || matches!(byte, b'\n' | b'\r');
    let quoted =
        forced || text == format.null || (alone && text == "\\.") || text.as_bytes().iter().any(special);
    if !quoted {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(quote);
    for &byte in text.as_bytes() {
        if byte == quote || byte == escape {
            out.push(escape);
        }
        out.push(byte);
    }
    out.push(quote);
}

/// Cuts a row into fields. Quotes are closed: the row's end was found by them.
pub(super) fn split(line: &[u8], format: &CopyFormat, fields: &mut Fields) {
    let (delimiter, quote, escape) = (format.delimiter, format.quote, format.escape);
    let mut bytes = line.iter().copied().peekable();
    loop {
        let start = fields.begin();
        let (mut inside, mut quoted, mut more) = (false, false, false);
        while let Some(byte) = bytes.next() {
            if inside {
                let escaped =
                    byte == escape && bytes.peek().is_some_and(|&next| next == quote || next == escape);
                if escaped {
                    fields.push_all(bytes.next());
                } else if byte == quote {
                    inside = false;
                } else {
                    fields.push(byte);
                }
            } else if byte == delimiter {
                more = true;
                break;
            } else if byte == quote {
                (inside, quoted) = (true, true);
            } else {
                fields.push(byte);
            }
        }
        let number = fields.len();
        let flag = |flags: &[bool]| flags.get(number).copied().unwrap_or(false);
        let nulls = if quoted { flag(&format.force_null) } else { !flag(&format.force_not_null) };
        let is_null = nulls && fields.since(start) == format.null.as_bytes();
        fields.end(start, is_null);
        if !more {
            return;
        }
    }
}
