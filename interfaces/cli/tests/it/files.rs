//! Commands on files.

use std::fs;

use crate::harness::{Node, command, fed, refused, said, text};

#[test]
fn files_go_in_and_come_out_as_they_are() {
    let data = tempfile::tempdir().unwrap();
    let _node = Node::start(data.path());
    let data = data.path();
    let local = tempfile::tempdir().unwrap();
    let place = |name: &str| local.path().join(name);
    // Empty, small, a piece of the copying and a bit, all bytes.
    for (name, length) in [("empty", 0), ("small", 10), ("large", (4 << 20) + 17)] {
        let bytes: Vec<u8> = (0..length).map(|number: u32| (number * 7 % 251) as u8).collect();
        fs::write(place(name), &bytes).unwrap();
        said(data, &["put", place(name).to_str().unwrap(), "texts/"]);
        said(data, &["get", &format!("texts/{name}"), place("back").to_str().unwrap()]);
        assert!(fs::read(place("back")).unwrap() == bytes, "{name}");
        let output = command(data, &["cat", &format!("/home/ada/texts/{name}")]);
        assert!(output.stdout == bytes, "{name}");
    }
    assert_eq!(said(data, &["ls", "--csv", "texts"]).lines().count(), 4);
    assert!(!said(data, &["ls", "--tree"]).contains(".part-"));
}

#[test]
fn a_file_is_replaced_and_its_version_counts() {
    let data = tempfile::tempdir().unwrap();
    let _node = Node::start(data.path());
    let data = data.path();
    assert_eq!(fed(data, &["put", "-", "notes/today"], b"one\n"), "/home/ada/notes/today: 4 bytes\n");
    fed(data, &["put", "-", "notes/today"], b"two\n");
    assert_eq!(said(data, &["cat", "notes/today"]), "two\n");
    let known = said(data, &["stat", "--json", "notes/today"]);
    assert!(known.contains("\"size\": 4") && known.contains("\"writer\": \"ada\""), "{known}");
    assert!(known.contains("\"mode\": \"-rw-r--r--\""), "{known}");
}

#[test]
fn trees_go_in_and_come_out() {
    let data = tempfile::tempdir().unwrap();
    let _node = Node::start(data.path());
    let data = data.path();
    let local = tempfile::tempdir().unwrap();
    fs::create_dir_all(local.path().join("tree/below")).unwrap();
    fs::write(local.path().join("tree/a"), "a").unwrap();
    fs::write(local.path().join("tree/below/b"), "b").unwrap();
    let tree = local.path().join("tree");
    let said_no = refused(data, &["put", tree.to_str().unwrap()]);
    assert!(said_no.contains("is a directory") && said_no.contains("put -r"), "{said_no}");
    said(data, &["put", "-r", tree.to_str().unwrap(), "."]);
    let names = said(data, &["ls", "--tree", "--csv", "tree"]);
    let names: Vec<&str> = names.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(names, ["/home/ada/tree/a", "/home/ada/tree/below/", "/home/ada/tree/below/b"]);
    fs::create_dir(local.path().join("out")).unwrap();
    said(data, &["get", "tree", local.path().join("out").to_str().unwrap()]);
    assert_eq!(fs::read_to_string(local.path().join("out/tree/below/b")).unwrap(), "b");

    said(data, &["mv", "tree/below", "tree/moved"]);
    said(data, &["mkdir", "-p", "one/two"]);
    said(data, &["mv", "tree", "one"]);
    assert_eq!(said(data, &["cat", "one/tree/moved/b"]), "b");
    let said_no = refused(data, &["rm", "one"]);
    assert!(said_no.contains("rm -r"), "{said_no}");
    said(data, &["rm", "one/tree/a"]);
    said(data, &["rm", "-r", "one"]);
    assert_eq!(said(data, &["ls", "--csv"]).lines().count(), 1);
    said(data, &["check"]);
}

/// A home that is gone would leave an entry that points to nothing, for ever.
#[test]
fn the_home_directory_stays() {
    let data = tempfile::tempdir().unwrap();
    let _node = Node::start(data.path());
    let data = data.path();
    fed(data, &["put", "-", "below/file"], b"x");
    said(data, &["rm", "-r", "."]);
    assert_eq!(said(data, &["ls", "--csv"]).lines().count(), 1);
    fed(data, &["put", "-", "below/file"], b"x");
    for arguments in [&["mv", "/home/ada", "/home/ay"][..], &["mv", "/home", "/h2"], &["rm", "-r", "/home"]] {
        assert!(refused(data, arguments).contains("TXF"), "{arguments:?}");
    }
    for arguments in [&["rm", "/"][..], &["rm", "-r", "/"]] {
        let said_no = refused(data, arguments);
        assert!(said_no.contains("cannot be removed") && !said_no.contains("rm -r"), "{said_no}");
    }
    assert_eq!(said(data, &["cat", "below/file"]), "x");
    said(data, &["check"]);
}

#[test]
fn what_is_not_there_is_said() {
    let data = tempfile::tempdir().unwrap();
    let _node = Node::start(data.path());
    let data = data.path();
    for arguments in [
        &["cat", "nothing"][..],
        &["get", "nothing"],
        &["rm", "nothing"],
        &["stat", "nothing"],
        &["ls", "nothing"],
        &["mv", "nothing", "something"],
    ] {
        let said_no = refused(data, arguments);
        assert!(
            said_no.contains("/home/ada/nothing") && said_no.contains("TXF02"),
            "{arguments:?}: {said_no}"
        );
    }
    // Nobody's home directory is made by the way.
    for arguments in [
        &["ls", "/home/bob"][..],
        &["cat", "/home/bob/x"],
        &["mkdir", "-p", "/home/bob/x"],
        &["put", "/etc/passwd", "/home/bob/x"],
    ] {
        let said_no = refused(data, arguments);
        assert!(said_no.contains("there is no user \"bob\""), "{arguments:?}: {said_no}");
    }
    fed(data, &["put", "-", "file"], b"x");
    assert!(refused(data, &["ls", "file"]).contains("no directory"));
    assert!(refused(data, &["mkdir", "file"]).contains("TXF17"));
    assert!(refused(data, &["mkdir", "file/below"]).contains("TXF20"));
    assert!(refused(data, &["cat", "/home/ada"]).contains("is a directory"));
    assert!(refused(data, &["put", "/no/such/file"]).contains("cannot read /no/such/file"));
    assert!(refused(data, &["put", "-"]).contains("put - PATH"));
    assert!(
        refused(data, &["get", "file", "/no/such/folder/file"]).contains("cannot write /no/such/folder/file")
    );
    let output = command(data, &["cat"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}
