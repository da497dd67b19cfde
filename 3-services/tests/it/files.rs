//! Files: names, bytes, rename.

use tuplix::Session;
use tuplix_services::fs::{Entry, Fs, Kind, Writer};
use tuplix_services::{Bucket, FileId, TaskId, errors, os};

use crate::engines::{both, refused, rows};

const HOME: Bucket = Bucket(5);
const ALICE: Writer<'static> = Writer { user: "alice", task: None };

fn names(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.name.as_str()).collect()
}

fn tree(session: &mut Session, fs: &Fs) -> Vec<String> {
    fs.tree(session, HOME, "/").unwrap().into_iter().map(|entry| entry.name).collect()
}

fn get(session: &mut Session, fs: &Fs, path: &str) -> Vec<u8> {
    fs.get(session, HOME, path).unwrap().data.to_vec()
}

fn small_blocks(session: &mut Session, fs: &Fs, path: &str) -> FileId {
    fs.create(session, HOME, path, ALICE, 0o644, true, Some(512)).unwrap()
}

#[test]
fn whole_files_are_put_and_got() {
    both(|_, session| {
        let fs = Fs::new(session).unwrap();
        fs.make_directory(session, HOME, "/d/e", ALICE, true).unwrap();
        for size in [0, 1, 8191, 8192, 8193, 100_000, 5] {
            let data: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
            let (file, version) =
                fs.put(session, HOME, "/d/e/f", &data, Writer::task("alice", TaskId(69))).unwrap();
            let content = fs.get(session, HOME, "/d/e/f").unwrap();
            assert_eq!((content.file, content.version), (file, version));
            assert!(*content.data == *data, "{size}");
        }
        let stat = fs.stat(session, HOME, "/d/e/f").unwrap();
        assert_eq!(
            (stat.kind, stat.size, stat.block_size, stat.links, stat.mode),
            (Kind::File, 5, 8192, 1, 0o644)
        );
        assert_eq!(
            (stat.writer_task, stat.writer.as_str(), stat.owner.as_str()),
            (Some(TaskId(69)), "alice", "alice")
        );
        assert_eq!(rows(session, "SELECT count(*) FROM os.file_block"), ["1"]);
        os::set(session, "fs.put_bytes_max", 10).unwrap();
        refused(fs.put(session, HOME, "/d/e/f", &[0; 11], ALICE), errors::TOO_LARGE);
        refused(fs.write(session, stat.file, None, &[0; 11], ALICE), errors::TOO_LARGE);
        refused(fs.read(session, stat.file, 0, 11), errors::TOO_LARGE);
        fs.write(session, stat.file, None, &[0; 10], ALICE).unwrap();
        refused(fs.get(session, HOME, "/d/e/f"), errors::TOO_LARGE);
    });
}

/// Random writes, reads and truncations beside a vector of bytes.
#[test]
fn bytes_are_where_they_were_written() {
    both(|_, session| {
        let fs = Fs::new(session).unwrap();
        let file = small_blocks(session, &fs, "/f");
        let mut model: Vec<u8> = Vec::new();
        let mut seed = 7_u64;
        let mut random = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % below
        };
        for step in 0..150 {
            match random(10) {
                0 => {
                    let size = random(3000);
                    model.resize(size, 0);
                    fs.truncate(session, file, size as i64, ALICE).unwrap();
                }
                1 => {
                    let data = vec![step as u8; random(700)];
                    model.extend(&data);
                    fs.write(session, file, None, &data, ALICE).unwrap();
                }
                2 => {
                    let (number, length) = (random(5), 1 + random(512));
                    let data = vec![step as u8; length];
                    let (start, stop) = (number * 512, number * 512 + 512);
                    model.resize(model.len().max(start + length), 0);
                    // A short block reads as zeros after its end.
                    for byte in start..stop.min(model.len()) {
                        model[byte] = data.get(byte - start).copied().unwrap_or(0);
                    }
                    fs.write_blocks(session, file, &[number as i64], &[data], ALICE, None).unwrap();
                }
                _ => {
                    let (at, data) = (random(3000), vec![step as u8; random(1200)]);
                    if !data.is_empty() {
                        model.resize(model.len().max(at + data.len()), 0);
                        model[at..at + data.len()].copy_from_slice(&data);
                    }
                    fs.write(session, file, Some(at as i64), &data, ALICE).unwrap();
                }
            }
            let (at, count) = (random(3000), random(2000));
            let read = fs.read(session, file, at as i64, count as i32).unwrap();
            let expected = model.get(at..(at + count).min(model.len()).max(at)).unwrap_or_default();
            assert!(*read == *expected, "step {step}: {at} {count}");
            assert!(get(session, &fs, "/f") == model, "step {step}");
        }
    });
}

#[test]
fn blocks_are_read_and_written_in_one_call() {
    both(|_, session| {
        let fs = Fs::new(session).unwrap();
        let (one, two) = (small_blocks(session, &fs, "/one"), small_blocks(session, &fs, "/two"));
        let block = |byte: u8| vec![byte; 512];
        fs.write_blocks(session, one, &[3, 0, 1], &[block(3), block(0), block(1)], ALICE, None).unwrap();
        fs.write_blocks(session, two, &[0], &[b"short"], ALICE, Some(5000)).unwrap();
        let read = fs.read_blocks(session, one, &[3, 2, 1]).unwrap();
        let read: Vec<_> = read.iter().map(|(number, bytes)| (*number, bytes[0], bytes.len())).collect();
        assert_eq!(read, [(1, 1, 512), (3, 3, 512)]);
        let many =
            fs.read_many_blocks(session, HOME, &[(two, 0), (one, 3), (one, 2), (FileId(5), 0)]).unwrap();
        let many: Vec<_> = many.iter().map(|bytes| bytes.as_ref().map(|bytes| bytes.len())).collect();
        assert_eq!(many, [Some(5), Some(512), None, None]);
        assert_eq!(fs.stat(session, HOME, "/two").unwrap().size, 5000);
        // Sizes are the files', whatever blocks they have: the paper's query is right for files of many blocks.
        let sum = "SELECT sum(f_size)::bigint FROM os.file WHERE f_owner = 'alice' AND f_size >= 3000";
        assert_eq!(rows(session, sum), ["5000"]);
        refused(fs.write_blocks(session, one, &[0], &[vec![0; 513]], ALICE, None), errors::INVALID);
        refused(fs.write_blocks(session, one, &[-1], &[b"x"], ALICE, None), errors::INVALID);
        refused(fs.write_blocks(session, one, &[9], &[b"x"], ALICE, Some(10)), errors::INVALID);
        refused(fs.write_blocks(session, one, &[1, 2], &[b"x"], ALICE, None), errors::INVALID);
        refused(fs.write_blocks(session, FileId(5), &[0], &[b"x"], ALICE, None), errors::IS_A_DIRECTORY);
        refused(fs.write(session, FileId(64 * 99 + 5), None, b"x", ALICE), errors::NO_ENTRY);
        refused(fs.write(session, one, Some(-1), b"x", ALICE), errors::INVALID);
        refused(fs.read_blocks(session, FileId(64 * 99 + 5), &[0]), errors::NO_ENTRY);
        refused(fs.read(session, FileId(64 * 99 + 5), 0, 1), errors::NO_ENTRY);
        refused(fs.read(session, one, -1, 1), errors::INVALID);
        refused(fs.truncate(session, one, -1, ALICE), errors::INVALID);
    });
}

#[test]
fn names_are_made_found_and_removed() {
    both(|_, session| {
        let fs = Fs::new(session).unwrap();
        let create = |session: &mut Session, path: &str, exclusive| {
            fs.create(session, HOME, path, ALICE, 0o600, exclusive, None)
        };
        fs.make_directory(session, HOME, "/a", ALICE, false).unwrap();
        refused(fs.make_directory(session, HOME, "/a", ALICE, false), errors::EXISTS);
        refused(fs.make_directory(session, HOME, "/x/y", ALICE, false), errors::NO_ENTRY);
        let file = create(session, "/a/f", true).unwrap();
        refused(create(session, "/a/f", true), errors::EXISTS);
        assert_eq!(create(session, "//a/./../a/f", false).unwrap(), file);
        refused(create(session, "/a", false), errors::IS_A_DIRECTORY);
        refused(create(session, "/a/g/", false), errors::IS_A_DIRECTORY);
        refused(create(session, "/a/f/g", true), errors::NOT_A_DIRECTORY);
        refused(create(session, "a/f", true), errors::INVALID);
        refused(create(session, &format!("/{}", "n".repeat(256)), true), errors::NAME_TOO_LONG);
        refused(create(session, &"/n".repeat(2049), true), errors::NAME_TOO_LONG);
        refused(fs.create(session, HOME, "/b", ALICE, 0, true, Some(7)), errors::INVALID);
        refused(fs.make_directory(session, HOME, "/a/f/g", ALICE, true), errors::NOT_A_DIRECTORY);
        assert_eq!(names(&fs.list(session, HOME, "/a").unwrap()), ["f"]);
        refused(fs.list(session, HOME, "/a/f"), errors::NOT_A_DIRECTORY);
        refused(fs.list(session, HOME, "/nope"), errors::NO_ENTRY);
        refused(fs.tree(session, HOME, "/nope"), errors::NO_ENTRY);
        refused(fs.stat(session, HOME, "/a/nope"), errors::NO_ENTRY);
        refused(fs.get(session, HOME, "/a"), errors::IS_A_DIRECTORY);
        refused(fs.put(session, HOME, "/a", b"", ALICE), errors::IS_A_DIRECTORY);
        refused(fs.remove_file(session, HOME, "/a"), errors::IS_A_DIRECTORY);
        refused(fs.remove_file(session, HOME, "/nope"), errors::NO_ENTRY);
        refused(fs.remove_directory(session, HOME, "/a"), errors::NOT_EMPTY);
        refused(fs.remove_directory(session, HOME, "/a/f"), errors::NOT_A_DIRECTORY);
        refused(fs.remove_directory(session, HOME, "/nope"), errors::NO_ENTRY);
        refused(fs.remove_directory(session, HOME, "/"), errors::INVALID);
        fs.write(session, file, None, &[1; 20_000], ALICE).unwrap();
        fs.remove_file(session, HOME, "/a/f").unwrap();
        fs.remove_directory(session, HOME, "/a").unwrap();
        assert_eq!(tree(session, &fs), [""; 0]);
        assert_eq!(rows(session, "SELECT count(*) FROM os.file_block"), ["0"]);
    });
}

#[test]
fn rename_follows_posix() {
    both(|_, session| {
        let fs = Fs::new(session).unwrap();
        fs.make_directory(session, HOME, "/a/b", ALICE, true).unwrap();
        fs.make_directory(session, HOME, "/empty", ALICE, false).unwrap();
        fs.put(session, HOME, "/a/b/f", b"f", ALICE).unwrap();
        fs.put(session, HOME, "/a/g", b"g", ALICE).unwrap();
        let rename = |session: &mut Session, old: &str, new: &str| fs.rename(session, HOME, old, new);
        refused(rename(session, "/nope", "/x"), errors::NO_ENTRY);
        refused(rename(session, "/a", "/nope/x"), errors::NO_ENTRY);
        refused(rename(session, "/a", "/a/b/c"), errors::INVALID);
        refused(rename(session, "/a/g", "/a/b"), errors::IS_A_DIRECTORY);
        refused(rename(session, "/a/b", "/a/g"), errors::NOT_A_DIRECTORY);
        refused(rename(session, "/empty", "/a"), errors::NOT_EMPTY);
        refused(rename(session, "/a/g", "/x/"), errors::NOT_A_DIRECTORY);
        refused(rename(session, "/", "/x"), errors::INVALID);
        rename(session, "/a", "/a").unwrap();
        rename(session, "/a/b/f", "/a/g").unwrap();
        assert_eq!(get(session, &fs, "/a/g"), b"f");
        rename(session, "/a", "/empty").unwrap();
        assert_eq!(tree(session, &fs), ["/empty", "/empty/b", "/empty/g"]);
        rename(session, "/empty/b", "/c").unwrap();
        assert_eq!(fs.stat(session, HOME, "/c/..").unwrap().file, FileId(5));
        assert_eq!(tree(session, &fs), ["/c", "/empty", "/empty/g"]);
    });
}

/// A reader of a tree that is renamed to and fro finds it under one of its names, whole, at every time.
#[test]
fn a_tree_is_renamed_at_once() {
    both(|engine, session| {
        let fs = Fs::new(session).unwrap();
        fs.make_directory(session, HOME, "/one/d", ALICE, true).unwrap();
        for n in 0..10 {
            fs.put(session, HOME, &format!("/one/d/f{n}"), b"x", ALICE).unwrap();
        }
        std::thread::scope(|scope| {
            let writer = scope.spawn(move || {
                let mut session = engine.session();
                let fs = Fs::new(&mut session).unwrap();
                for _ in 0..50 {
                    fs.rename(&mut session, HOME, "/one", "/two").unwrap();
                    fs.rename(&mut session, HOME, "/two", "/one").unwrap();
                }
            });
            while !writer.is_finished() {
                let seen = fs.tree(session, HOME, "/").unwrap();
                let name = &seen[0].name;
                assert_eq!(seen.len(), 12);
                assert!(seen.iter().all(|entry| entry.name.starts_with(name.as_str())), "{:?}", names(&seen));
            }
        });
    });
}

/// Readers of a file that is put again and again see one writer's bytes.
#[test]
fn a_put_file_is_never_torn() {
    both(|engine, session| {
        let fs = Fs::new(session).unwrap();
        fs.put(session, HOME, "/f", &[0; 30_000], ALICE).unwrap();
        std::thread::scope(|scope| {
            let writers: Vec<_> = (1..4_u8)
                .map(|byte| {
                    scope.spawn(move || {
                        let mut session = engine.session();
                        let fs = Fs::new(&mut session).unwrap();
                        for _ in 0..20 {
                            fs.put(
                                &mut session,
                                HOME,
                                "/f",
                                &vec![byte; 20_000 + 5000 * usize::from(byte)],
                                ALICE,
                            )
                            .unwrap();
                        }
                    })
                })
                .collect();
            while !writers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                let data = get(session, &fs, "/f");
                assert!(data.iter().all(|byte| *byte == data[0]));
                assert!(data[0] == 0 || data.len() == 20_000 + 5000 * usize::from(data[0]));
            }
        });
        assert_eq!(fs.stat(session, HOME, "/f").unwrap().version, 62);
    });
}

#[test]
fn users_have_homes() {
    both(|_, session| {
        let fs = Fs::new(session).unwrap();
        assert_eq!(fs.add_user(session, "alice", None).unwrap(), Bucket::of_name("alice"));
        assert_eq!(fs.add_user(session, "bob", Some(Bucket(7))).unwrap(), Bucket(7));
        assert_eq!(fs.add_user(session, "bob", Some(Bucket(8))).unwrap(), Bucket(7));
        refused(fs.add_user(session, "No Name", None), errors::INVALID_USER);
        refused(fs.add_user(session, "carol", Some(Bucket(64))), errors::INVALID_USER);
        assert_eq!(os::home(session, "bob").unwrap(), Bucket(7));
        assert_eq!(os::home(session, "nobody").unwrap(), Bucket::of_name("nobody"));
        let mut bucket = |path| fs.bucket_of(session, path).unwrap();
        assert_eq!((bucket("/home/bob"), bucket("//home//bob/x/y")), (Bucket(7), Bucket(7)));
        assert_eq!(
            (bucket("/"), bucket("/home"), bucket("/home/"), bucket("/etc/x")),
            (Bucket(0), Bucket(0), Bucket(0), Bucket(0))
        );
        fs.put(session, Bucket(7), "/home/bob/f", b"hi", Writer::user("bob")).unwrap();
        let homes = fs.list(session, Bucket(0), "/home").unwrap();
        assert_eq!(names(&homes), ["alice", "bob"]);
        assert_eq!(homes[1].file.bucket(), Bucket(7));
        refused(fs.stat(session, Bucket(0), "/home/bob"), errors::OTHER_BUCKET);
        refused(fs.get(session, Bucket(0), "/home/bob/f"), errors::OTHER_BUCKET);
        assert_eq!(names(&fs.list(session, Bucket(7), "/home/bob").unwrap()), ["f"]);
    });
}

/// Bucket 0 has an entry for each home, which would point to nothing.
#[test]
fn homes_stay() {
    both(|_, session| {
        let fs = Fs::new(session).unwrap();
        for (user, bucket) in [("alice", 7), ("bob", 7), ("root", 0)] {
            fs.add_user(session, user, Some(Bucket(bucket))).unwrap();
        }
        for (bucket, path) in [(7, "/home/bob"), (7, "/home"), (0, "/home"), (0, "/home/root")] {
            refused(fs.remove_directory(session, Bucket(bucket), path), errors::INVALID);
            refused(fs.rename(session, Bucket(bucket), path, "/elsewhere"), errors::INVALID);
        }
        // Nor does another directory take the place of one.
        refused(fs.rename(session, Bucket(7), "/home/alice", "/home/bob"), errors::INVALID);
        fs.make_directory(session, Bucket(7), "/home/alice/new", ALICE, false).unwrap();
        refused(fs.rename(session, Bucket(7), "/home/alice/new", "/home/bob"), errors::INVALID);
        // What is nobody's goes, and so does what is in a home.
        fs.make_directory(session, Bucket(7), "/home/carol", ALICE, false).unwrap();
        fs.remove_directory(session, Bucket(7), "/home/carol").unwrap();
        fs.rename(session, Bucket(7), "/home/alice/new", "/home/bob/new").unwrap();
        fs.remove_directory(session, Bucket(7), "/home/bob/new").unwrap();
    });
}

/// What an earlier version let happen: the home is gone, its entry in bucket 0 is not.
#[test]
fn a_lost_home_is_made_again() {
    both(|_, session| {
        let fs = Fs::new(session).unwrap();
        fs.add_user(session, "bob", Some(Bucket(7))).unwrap();
        session
            .execute(
                "DELETE FROM os.file WHERE p_key = 7 AND parent_id = (SELECT file_id FROM os.directory WHERE p_key = 7 AND d_name = 'home');
                 DELETE FROM os.directory WHERE p_key = 7 AND d_name = 'bob';
                 UPDATE os.file SET entries = entries - 1
                  WHERE p_key = 7 AND file_id = (SELECT file_id FROM os.directory WHERE p_key = 7 AND d_name = 'home')",
            )
            .unwrap();
        assert!(!tuplix_services::check(session).unwrap().is_empty());
        fs.add_user(session, "bob", None).unwrap();
        assert_eq!(names(&fs.list(session, Bucket(0), "/home").unwrap()), ["bob"]);
    });
}
