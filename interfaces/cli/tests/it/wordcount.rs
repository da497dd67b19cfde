//! examples/wordcount: its result against sort and uniq, its queries, and kill -9 of the node while it runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::harness::{Node, answer, said, text};

/// Kills, each at a random moment of a graph.
const KILLS: u32 = 20;

fn example(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/wordcount").join(file)
}

/// Runs a script of the example on the node of a data directory.
fn script(data: &Path, name: &str, arguments: &[&str]) -> Output {
    Command::new(example(name))
        .args(arguments)
        .env("TUPLIX", env!("CARGO_BIN_EXE_tuplix"))
        .env("TUPLIX_DATA", data)
        .env("USER", "ada")
        .output()
        .unwrap()
}

fn script_said(data: &Path, name: &str, arguments: &[&str]) -> String {
    let output = script(data, name, arguments);
    assert!(output.status.success(), "{name}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// What sort and uniq count in local files, all of it or the first lines.
fn counted(how_many: &str, input: &Path) -> String {
    script_said(Path::new("/"), "count.sh", &[how_many, input.to_str().unwrap()])
}

/// A folder with texts: `lines` of words from a fixed sequence, and what is awkward.
fn texts(lines: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut state = 88172645463325252_u64;
    let mut line = || -> String {
        let words = (0..10).map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let rare = state % 1000;
            format!(
                "W{}",
                "abcdefghij"
                    .chars()
                    .cycle()
                    .skip((rare % 7) as usize)
                    .take((rare % 13) as usize)
                    .collect::<String>()
            )
        });
        words.collect::<Vec<_>>().join(" ")
    };
    let text: String = (0..lines).map(|_| line() + "\n").collect();
    fs::write(folder.path().join("many lines.txt"), text).unwrap();
    fs::create_dir(folder.path().join("below")).unwrap();
    fs::write(folder.path().join("below/no end of line"), "the last word").unwrap();
    fs::write(folder.path().join("below/empty"), "").unwrap();
    fs::write(folder.path().join("UMLAUTS"), "Stra\u{df}e, na\u{ef}ve\nDON'T stop\r\n").unwrap();
    folder
}

#[test]
fn it_counts_as_sort_and_uniq_do() {
    let data = tempfile::tempdir().unwrap();
    let node = Node::start(data.path());
    let data = data.path();
    // The default texts, then others in their place, then none.
    let said_first = script_said(data, "run.sh", &[]);
    let paths = script_said(data, "texts.sh", &[]);
    let paths: Vec<&str> = ["20"].into_iter().chain(paths.lines()).collect();
    let expected = script_said(data, "count.sh", &paths);
    assert_eq!(expected.lines().count(), 20);
    assert!(said_first.ends_with(&expected), "{said_first}\nexpected:\n{expected}");
    let texts = texts(500);
    let input = texts.path().to_str().unwrap();
    let said_second = script_said(data, "run.sh", &["--input", input]);
    assert!(said_second.ends_with(&counted("20", texts.path())), "{said_second}");
    assert_eq!(said(data, &["cat", "wordcount/counts.txt"]), counted("1000000", texts.path()));
    let empty = tempfile::tempdir().unwrap();
    let said_third = script_said(data, "run.sh", &["--input", empty.path().to_str().unwrap()]);
    assert!(said_third.ends_with("11 of 11 tasks done\n"), "{said_third}");
    said(data, &["check"]);

    // The tables alone explain the run, also to the next node.
    script_said(data, "run.sh", &["--input", input]);
    let report = script_said(data, "report.sh", &[]);
    for (begin, rows) in [("1.", 11), ("2.", 11), ("3.", 6 + 18 + 3 + 2), ("4.", 9), ("5.", 4)] {
        let (_, answer) = report.split_once(&format!("{begin} ")).unwrap();
        let (answer, _) = answer.split_once(" rows)").unwrap();
        assert!(answer.ends_with(&format!("({rows}")), "{report}");
    }
    let path: Vec<&str> =
        report.split("5. ").nth(1).unwrap().lines().skip(3).take(4).map(name_in_row).collect();
    assert_eq!((path[0], &path[1][..4], &path[2][..7], path[3]), ("split", "map-", "reduce-", "merge"));
    node.kill();
    let _node = Node::start(data);
    assert_eq!(script_said(data, "report.sh", &[]), report);
}

fn name_in_row(row: &str) -> &str {
    row.split('|').next().unwrap().trim()
}

#[test]
fn wrong_arguments_are_said() {
    let data = tempfile::tempdir().unwrap();
    let output = script(data.path(), "run.sh", &["--input", "/no/such/directory"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("there is no /no/such/directory"), "{}", text(&output.stderr));
    let output = script(data.path(), "run.sh", &["--sort"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--input DIR"), "{}", text(&output.stderr));
}

/// A small generator, so that a seed gives the same moments again.
struct Random(u64);

impl Random {
    /// TUPLIX_TEST_SEED, or another one each time; printed.
    fn new() -> Random {
        let given = std::env::var("TUPLIX_TEST_SEED").ok().map(|seed| seed.parse().unwrap());
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos().into();
        let seed: u64 = given.unwrap_or_else(clock);
        eprintln!("TUPLIX_TEST_SEED={seed}");
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A part of a time.
    fn part_of(&mut self, whole: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        whole.mul_f64((self.0 >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

/// Begins the graph and returns its number.
fn begin(data: &Path, input: &Path) -> String {
    script_said(data, "load.sh", &["--input", input.to_str().unwrap()]);
    said(data, &["run", "--detach", example("wordcount.toml").to_str().unwrap()]).trim().to_owned()
}

/// The result is right, and each task had its effects once.
fn check(data: &Path, graph: &str, expected: &str) {
    let end = said(data, &["wait", "--graph", graph]);
    assert!(end.contains("11 of 11 tasks done"), "{end}");
    assert!(said(data, &["cat", "wordcount/counts.txt"]) == expected, "another result");
    said(data, &["check"]);
    let of_graph = format!("SELECT task_id FROM os.task WHERE graph_id = {graph}");
    let done =
        format!("SELECT count(*) FROM os.task_result WHERE outcome = 'done' AND task_id IN ({of_graph})");
    assert_eq!(answer(data, &["--csv"], &done), "count\n11\n");
    // Each map and each reduce sent one message.
    let sent =
        format!("SELECT count(*), count(DISTINCT sender_id) FROM os.message WHERE sender_id IN ({of_graph})");
    assert_eq!(answer(data, &["--csv"], &sent), "count,count\n9,9\n");
    // Made and written once since they were removed: version 2, by a task of this graph.
    let written = format!(
        "SELECT count(*), min(version), max(version) FROM os.list_tree(os.home('ada'), '/home/ada/wordcount')
          WHERE kind = 'file' AND writer_task_id IN ({of_graph})"
    );
    assert_eq!(answer(data, &["--csv"], &written), "count,min,max\n29,2,2\n");
}

#[test]
fn a_killed_node_goes_on_where_it_was() {
    let data = tempfile::tempdir().unwrap();
    let mut random = Random::new();
    let mut node = Node::start(data.path());
    let data = data.path();
    let texts = texts(2000);
    let expected = counted("1000000", texts.path());
    let graph = begin(data, texts.path());
    let began = Instant::now();
    said(data, &["wait", "--graph", &graph]);
    let undisturbed = began.elapsed();
    check(data, &graph, &expected);
    let mut interrupted = 0;
    for kill in 0..KILLS {
        let graph = begin(data, texts.path());
        // The moment is the point of this test, so it is slept for.
        let moment = random.part_of(undisturbed);
        thread::sleep(moment);
        node.kill();
        node = Node::start(data);
        let left = format!("SELECT count(*) FROM os.graph WHERE graph_id = {graph} AND state = 'running'");
        let left = answer(data, &["--csv"], &left) == "count\n1\n";
        interrupted += u32::from(left);
        eprintln!(
            "kill {kill} after {moment:?} of {undisturbed:?}, the graph was {}",
            if left { "running" } else { "over" }
        );
        check(data, &graph, &expected);
    }
    assert!(interrupted >= KILLS / 4, "only {interrupted} kills met a graph that ran");
    let lost = answer(data, &["--csv"], "SELECT count(*) FROM os.task_result WHERE outcome = 'lost'");
    let lost: u32 = lost.lines().nth(1).unwrap().parse().unwrap();
    assert!(lost > 0, "no kill met a task that ran");
    eprintln!("{interrupted} kills met a graph that ran, {lost} attempts were lost");
}
