#![allow(clippy::unwrap_used)]
use super::*;
use crate::{Result, sqlstate};

type Row = Vec<Option<String>>;

fn read(format: &CopyFormat, names: &[&str], data: &[u8]) -> Result<Vec<Row>> {
    let mut reader = CopyReader::new(format, "t", names.to_vec(), data);
    let (mut fields, mut rows) = (Fields::default(), Vec::new());
    while reader.next(&mut fields)? {
        let row = (0..fields.len()).map(|number| match reader.field(&fields, number) {
            Field::Null => None,
            Field::Text(text) => Some(text.to_owned()),
            Field::Binary(bytes) => Some(format!("{bytes:?}")),
        });
        rows.push(row.collect());
    }
    Ok(rows)
}

fn write(format: &CopyFormat, columns: usize, rows: &[Row]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = CopyWriter::new(format, columns);
    for row in rows {
        writer.begin_row(&mut out);
        for field in row {
            match field {
                None => writer.null(&mut out),
                Some(text) => writer.text(text, &mut out),
            }
        }
        writer.end_row(&mut out);
    }
    out
}

fn row(fields: &[Option<&str>]) -> Row {
    fields.iter().map(|field| field.map(str::to_owned)).collect()
}

#[test]
fn what_is_written_is_read() {
    let hard = [
        "",
        "\\N",
        "\\.",
        "a\tb",
        "a,b",
        "\"",
        "\"\"",
        "\\",
        "a\nb",
        "a\r\nb",
        "x\u{8}\u{c}\u{b}y",
        "é€😀",
        "NULL",
        " ",
        "'",
        "\\t",
        ";",
    ];
    let mut rows: Vec<Row> = hard.iter().map(|text| row(&[Some(text), None, Some("x")])).collect();
    rows.extend(hard.iter().map(|text| row(&[None, Some("y"), Some(text)])));
    let mut formats = vec![CopyFormat::new(CopyKind::Text), CopyFormat::new(CopyKind::Csv)];
    formats.push(CopyFormat { delimiter: b';', null: "nil".into(), ..CopyFormat::new(CopyKind::Text) });
    formats.push(CopyFormat {
        quote: b'\'',
        escape: b'\\',
        null: "NULL".into(),
        ..CopyFormat::new(CopyKind::Csv)
    });
    formats.push(CopyFormat { force_quote: vec![true; 3], ..CopyFormat::new(CopyKind::Csv) });
    for format in formats {
        let data = write(&format, 3, &rows);
        assert_eq!(read(&format, &["a", "b", "c"], &data).unwrap(), rows, "{format:?}");
    }
    let alone: Vec<Row> = hard.iter().map(|text| row(&[Some(text)])).collect();
    for kind in [CopyKind::Text, CopyKind::Csv] {
        let format = CopyFormat::new(kind);
        assert_eq!(read(&format, &["a"], &write(&format, 1, &alone)).unwrap(), alone, "{kind:?}");
    }
}

#[test]
fn text_knows_escapes_and_the_end_marker() {
    let format = CopyFormat::new(CopyKind::Text);
    let rows = read(&format, &["a", "b"], b"\\x41\\101\\q\t\\N\n\\\\N\t\\\n\n\\.\nrest is not read").unwrap();
    assert_eq!(rows, [row(&[Some("AAq"), None]), row(&[Some("\\N"), Some("\n")])]);
    let rows = read(&format, &["a", "b"], b"1\t2\r\n3\t4").unwrap();
    assert_eq!(rows.len(), 2);
}

#[test]
fn csv_knows_quotes() {
    let format = CopyFormat { header: CopyHeader::Match, ..CopyFormat::new(CopyKind::Csv) };
    let data = b"a,b\n\"\",\n\"x\"\"y\",\"line\nbreak\"\na\"b c\"d,\\N\n\\.\n";
    let rows = read(&format, &["a", "b"], data).unwrap();
    let expected = [
        row(&[Some(""), None]),
        row(&[Some("x\"y"), Some("line\nbreak")]),
        row(&[Some("ab cd"), Some("\\N")]),
    ];
    assert_eq!(rows, expected);
    let forced = CopyFormat {
        force_null: vec![true, false],
        force_not_null: vec![false, true],
        ..CopyFormat::new(CopyKind::Csv)
    };
    assert_eq!(read(&forced, &["a", "b"], b"\"\",\n").unwrap(), [row(&[None, Some("")])]);
}

#[test]
fn malformed_data_are_placed() {
    let (text, csv) = (CopyFormat::new(CopyKind::Text), CopyFormat::new(CopyKind::Csv));
    let header = CopyFormat { header: CopyHeader::Match, ..csv.clone() };
    let cases: [(&CopyFormat, &[u8], &str, &str); 8] = [
        (&text, b"1\t2\n3\n", "missing data for column \"b\"", "COPY t, line 2: \"3\""),
        (&text, b"1\t2\t3\n", "extra data after last expected column", "COPY t, line 1: \"1\t2\t3\""),
        (&text, b"1\t2\r\n3\t4\n", "literal newline found in data", "COPY t, line 2"),
        (&text, b"1\t2\\.3\n", "end-of-copy marker corrupt", "COPY t, line 1"),
        (&csv, b"1,\"2\n", "unterminated CSV quoted field", "COPY t, line 1: \"1,\"2\n\""),
        (&csv, b"1,2\n3,4\r\n", "unquoted carriage return found in data", "COPY t, line 2"),
        (
            &header,
            b"a,c\n",
            "column name mismatch in header line field 2: got \"c\", expected \"b\"",
            "COPY t, line 1: \"a,c\"",
        ),
        (
            &header,
            b"a\n",
            "wrong number of fields in header line: got 1, expected 2",
            "COPY t, line 1: \"a\"",
        ),
    ];
    for (format, data, message, place) in cases {
        let error = read(format, &["a", "b"], data).unwrap_err();
        assert_eq!(error.sqlstate(), sqlstate::BAD_COPY_FILE_FORMAT);
        assert_eq!((error.message(), error.fields().context.as_deref()), (message, Some(place)));
    }
    let error = read(&text, &["a"], b"\\xff\n").unwrap_err();
    assert_eq!(error.sqlstate(), sqlstate::CHARACTER_NOT_IN_REPERTOIRE);
}

#[test]
fn no_cut_of_binary_data_is_read() {
    let format = CopyFormat::new(CopyKind::Binary);
    let mut data = Vec::new();
    let mut writer = CopyWriter::new(&format, 2);
    assert!(!writer.begin(["a", "b"].into_iter(), &mut data));
    let header = data.len();
    writer.begin_row(&mut data);
    writer.binary(&[1, 2], &mut data);
    writer.null(&mut data);
    writer.end_row(&mut data);
    let rows_end = data.len();
    assert!(writer.end(&mut data));
    let rows = read(&format, &["a", "b"], &data).unwrap();
    assert_eq!(rows, [row(&[Some("[1, 2]"), None])]);
    for cut in (0..data.len()).filter(|cut| ![header, rows_end].contains(cut)) {
        let error = read(&format, &["a", "b"], &data[..cut]).unwrap_err();
        assert_eq!(error.sqlstate(), sqlstate::BAD_COPY_FILE_FORMAT, "cut at {cut}");
    }
    data.push(0);
    assert!(read(&format, &["a", "b"], &data).is_err());
    assert!(read(&format, &["a"], &data).is_err());
}
