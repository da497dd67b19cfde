#![allow(clippy::unwrap_used)]

use super::*;

/// What the parser says, written as in `testdata/bodies.txt`.
fn verdict(body: &str) -> String {
    match parse_body(body, "f") {
        Ok(_) => String::from("ok"),
        Err(error) => {
            let fields = error.fields();
            let position = fields.position.map_or(String::from("-"), |position| position.to_string());
            let context =
                fields.context.as_ref().map_or(String::new(), |c| format!(" | {}", c.replace('\n', " / ")));
            format!("{} {position} {}{context}", fields.sqlstate, fields.message)
        }
    }
}

#[test]
fn bodies_are_judged_as_by_postgresql_15() {
    let mut body = String::new();
    let mut expected: Option<&str> = None;
    let (mut checked, mut wrong) = (0, String::new());
    for line in include_str!("testdata/bodies.txt").lines().filter(|line| !line.starts_with("# ")).chain([""])
    {
        if let Some(parser) = line.strip_prefix("=> parser: ") {
            expected = Some(parser);
        } else if let Some(postgresql) = line.strip_prefix("=> ") {
            expected = Some(postgresql);
        } else if line.is_empty()
            && let Some(expected) = expected.take()
        {
            let body = std::mem::take(&mut body);
            let body = body.trim_matches('\n');
            let ours = verdict(body);
            checked += 1;
            if ours != expected {
                wrong.push_str(&format!("{body}\n  expected {expected}\n  got      {ours}\n"));
            }
        } else {
            body.push_str(line);
            body.push('\n');
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(checked > 200, "{checked}");
}

fn body(text: &str) -> Block {
    match parse_body(text, "f") {
        Ok(body) => body.block,
        Err(error) => panic!("{text}: {error} {:?}", error.fields().position),
    }
}

fn first(text: &str) -> StatementKind {
    body(text).statements.swap_remove(0).kind
}

#[test]
fn empty_bodies() {
    for text in ["", "  ", "-- only a comment", "\n\n"] {
        assert_eq!(parse_body(text, "f").unwrap_err().message(), "syntax error at end of input", "{text:?}");
    }
}

#[test]
fn texts_offsets_and_lines() {
    let text = "declare\n  x int := 1 + 2;\nbegin\n  -- é\n  if x > 1 then\n    x := 3 ;\n  end if;\n  return\n    x;\nend";
    let block = body(text);
    assert_eq!(block.line, 3);
    let DeclarationKind::Variable { data_type, default: Some(default), .. } = &block.declarations[0].kind
    else {
        panic!("{block:?}")
    };
    assert_eq!((data_type.text.as_str(), default.text.as_str(), default.line), ("int", "1 + 2", 2));
    assert!(text[default.offset..].starts_with("1 + 2"));
    assert_eq!(block.statements.iter().map(|s| s.line).collect::<Vec<_>>(), [5, 8]);
    let StatementKind::If { branches, .. } = &block.statements[0].kind else { panic!() };
    assert_eq!((branches[0].condition.text.as_str(), branches[0].line), ("x > 1", 5));
    let StatementKind::Assign(assignment) = &branches[0].statements[0].kind else { panic!() };
    assert_eq!((assignment.text.as_str(), assignment.line), ("x := 3", 6));
    assert!(text[assignment.offset..].starts_with("x := 3 ;"));
    let StatementKind::Return(Some(expression)) = &block.statements[1].kind else { panic!() };
    assert_eq!((expression.text.as_str(), expression.line), ("x", 9));
}

#[test]
fn into_is_taken_out_of_sql() {
    let text = "begin insert into t select 1 into x from u returning a, b into strict x, r.f -- c\n ; end";
    let error = parse_body(text, "f").unwrap_err();
    assert_eq!(error.message(), "INTO specified more than once at or near \"into\"");

    let text = "begin insert into t values (1) returning a, b into strict x, l.r.f -- c\n ; end";
    let StatementKind::Sql { query, into: Some(into) } = first(text) else { panic!() };
    assert!(into.strict);
    assert_eq!(into.targets.iter().map(Name::to_string).collect::<Vec<_>>(), ["x", "l.r.f"]);
    assert_eq!(query.text, "insert into t values (1) returning a, b");
    assert!(text[query.offset..].starts_with("insert"));

    let StatementKind::Sql { query, into: Some(into) } = first("begin select into a, b c, d from t; end")
    else {
        panic!()
    };
    assert_eq!((query.text.as_str(), into.targets.len()), ("select           c, d from t", 2));
    let StatementKind::Sql { into, .. } =
        first("begin merge into t using s on true when matched then delete; end")
    else {
        panic!()
    };
    assert_eq!(into, None);
}

#[test]
fn perform_is_a_select_at_the_same_places() {
    let text = "begin PERFORM f(x); end";
    let StatementKind::Perform(query) = first(text) else { panic!() };
    assert_eq!((query.text.as_str(), query.offset), ("SELECT f(x)", 7));
    assert_eq!(&text[query.offset + 7..query.offset + 11], "f(x)");
}

#[test]
fn declarations() {
    let block = body(
        "declare
            a constant numeric(10,2) := 1;
            b text collate pg_catalog.\"C\" not null = 'x';
            c os.task.id%type;
            d os.task%rowtype;
            e record;
            f alias for $2;
            g scroll cursor (p int, q text[]) is select p;
            h no scroll cursor for select 1;
            i refcursor;
         begin end",
    );
    let kinds: Vec<&DeclarationKind> =
        block.declarations.iter().map(|declaration| &declaration.kind).collect();
    let DeclarationKind::Variable { data_type, constant: true, not_null: false, .. } = kinds[0] else {
        panic!()
    };
    assert!(matches!(&data_type.kind, DataTypeKind::Named(name) if name.typmods.len() == 2));
    let DeclarationKind::Variable { collation: Some(collation), not_null: true, .. } = kinds[1] else {
        panic!()
    };
    assert_eq!(*collation, ["pg_catalog", "C"]);
    let type_of = |kind: &DeclarationKind| match kind {
        DeclarationKind::Variable { data_type, .. } => data_type.kind.clone(),
        other => panic!("{other:?}"),
    };
    let names = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
    assert_eq!(type_of(kinds[2]), DataTypeKind::OfVariable(names(&["os", "task", "id"])));
    assert_eq!(type_of(kinds[3]), DataTypeKind::RowOf(names(&["os", "task"])));
    assert_eq!(type_of(kinds[4]), DataTypeKind::Record);
    assert!(matches!(kinds[5], DeclarationKind::Alias { target, .. } if *target == ["$2"]));
    let DeclarationKind::Cursor { scroll: Some(true), arguments, query } = kinds[6] else { panic!() };
    assert_eq!((arguments.len(), arguments[1].data_type.text.as_str()), (2, "text[]"));
    assert_eq!(query.text, "select p");
    assert!(matches!(kinds[7], DeclarationKind::Cursor { scroll: Some(false), .. }));
    assert!(matches!(kinds[8], DeclarationKind::Variable { data_type, .. } if data_type.is_refcursor()));
}

#[test]
fn loops() {
    let StatementKind::ForInteger { reverse: true, lower, upper, step: Some(step), body, .. } =
        first("begin <<l>> for i in reverse a(1)..b[2] by 3 loop null; end loop l; end")
    else {
        panic!()
    };
    assert_eq!((lower.text, upper.text, step.text), ("a(1)".into(), "b[2]".into(), "3".into()));
    assert_eq!(body.label.as_deref(), Some("l"));
    let StatementKind::ForQuery { targets, query, .. } =
        first("begin for a, b.c in select 1, 2 loop end loop; end")
    else {
        panic!()
    };
    assert_eq!((targets[1].to_string().as_str(), query.text.as_str()), ("b.c", "select 1, 2"));
    let StatementKind::ForExecute { using, .. } =
        first("begin for r in execute q using 1, (2) loop end loop; end")
    else {
        panic!()
    };
    assert_eq!(using.len(), 2);
    let cursor = "declare c cursor (p int, q int) for select p; begin for r in c(q := 1, p := f(2, 3)) loop end loop; end";
    let StatementKind::ForCursor { arguments, .. } = first(cursor) else { panic!() };
    assert_eq!(arguments.iter().map(|a| a.text.as_str()).collect::<Vec<_>>(), ["f(2, 3)", "1"]);
    let StatementKind::ForEach { slice: 2, targets, .. } =
        first("begin foreach x slice 2 in array y loop end loop; end")
    else {
        panic!()
    };
    assert_eq!(targets.len(), 1);
}

#[test]
fn raises() {
    let raise = |text: &str| match first(&format!("begin {text}; end")) {
        StatementKind::Raise(raise) => raise,
        other => panic!("{other:?}"),
    };
    assert!(raise("raise").is_again());
    let formatted = raise("raise notice E'a\\t%% %', x using hint = y, errcode := '22012'");
    assert_eq!(formatted.level, RaiseLevel::Notice);
    let RaiseMessage::Format { format, arguments } = &formatted.message else { panic!() };
    assert_eq!((format.as_str(), arguments.len()), ("a\t%% %", 1));
    let options: Vec<_> =
        formatted.options.iter().map(|(option, value)| (option.as_str(), value.text.as_str())).collect();
    assert_eq!(options, [("HINT", "y"), ("ERRCODE", "'22012'")]);
    assert_eq!(raise("raise unique_violation").message, RaiseMessage::Condition("unique_violation".into()));
    assert_eq!(raise("raise sqlstate 'P0002'").message, RaiseMessage::SqlState("P0002".into()));
    let only_options = raise("raise using message = 'x'");
    assert!(!only_options.is_again() && only_options.message == RaiseMessage::Nothing);
}

#[test]
fn assignments_take_fields_and_subscripts() {
    for (text, name, indirection) in
        [("x = 1", "x", 0), ("x[1][2:3] := 1", "x", 2), ("l.x.f[1].g := 1", "l", 4), ("$1 := 2", "$1", 0)]
    {
        let StatementKind::Assign(assignment) = first(&format!("begin {text}; end")) else { panic!() };
        assert_eq!(
            (assignment.tree.name.as_str(), assignment.tree.indirection.len()),
            (name, indirection),
            "{text}"
        );
    }
}

#[test]
fn every_condition_of_postgresql_is_known() {
    // A few of each class; the table itself belongs to the types.
    for name in [
        "division_by_zero",
        "unique_violation",
        "no_data_found",
        "too_many_rows",
        "assert_failure",
        "raise_exception",
        "serialization_failure",
        "deadlock_detected",
        "query_canceled",
        "lock_not_available",
        "integrity_constraint_violation",
        "data_exception",
        "syntax_error",
        "undefined_table",
        "insufficient_privilege",
    ] {
        body(&format!("begin null; exception when {name} or sqlstate '22012' then null; end"));
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| format!("{}null;{}", "begin ".repeat(depth), " end;".repeat(depth));
    body(&nested(NESTING_MAX));
    let error = parse_body(&nested(NESTING_MAX + 1), "f").unwrap_err();
    assert_eq!(error.sqlstate().as_str(), "54001");
    assert!(
        error
            .fields()
            .context
            .as_ref()
            .unwrap()
            .starts_with("compilation of PL/pgSQL function \"f\" near line 1")
    );
    for depth in [10_000, 100_000] {
        assert!(parse_body(&nested(depth), "f").is_err());
        assert!(
            parse_body(&format!("begin x := {}1{}; end", "(".repeat(depth), ")".repeat(depth)), "f").is_err()
        );
    }
}

#[test]
fn errors_are_placed_in_the_statement_around() {
    let bad = "declare x text;\nbegin\n  x := 'é' +;\nend";
    let doubled = bad.replace('\'', "''");
    let error = || parse_body(bad, "f").unwrap_err();
    // (statement, its position in PostgreSQL 15)
    let cases = [
        (format!("CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $${bad}$$"), Some(89)),
        (format!("CREATE FUNCTION é() RETURNS int AS $é${bad}$é$ LANGUAGE plpgsql"), Some(73)),
        (format!("DO '{doubled}'"), Some(41)),
        (format!("DO E'{doubled}'"), Some(42)),
        (format!("CREATE PROCEDURE p() LANGUAGE plpgsql AS $${bad}$$; select $${bad}$$"), None),
        (format!("DO E'{}'", doubled.replace('\n', "\\n")), None),
        (String::from("DO $$ something else $$"), None),
    ];
    for (statement, position) in cases {
        let placed = place_error(error(), &statement, bad, "f");
        assert_eq!(placed.fields().position, position, "{statement}");
        let context = placed.fields().context.as_deref();
        assert_eq!(context.is_some(), position.is_none());
        assert!(
            context.is_none_or(|c| c == "compilation of PL/pgSQL function \"f\" near line 3"),
            "{context:?}"
        );
    }
}
