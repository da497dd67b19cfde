//! A node that fills its disk, a real and small one: a checkpoint that does not fit is none, commits end with 53100, nothing that was
//! acknowledged is lost, and with room on the disk the node goes on.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tokio_postgres::{Client, NoTls};

use crate::harness::{Node, text};

/// What fits on the disk: a segment of the log (64 MiB), what takes the place of the next one, and some checkpoints.
const DISK_MIB: u64 = 320;
/// What is on it beside the node's files, until space is freed.
const BALLAST_MIB: u64 = 130;
/// Rows between two checkpoints, of 200 KB each.
const BETWEEN: i64 = 20;

/// A small file system, the best that this machine permits: ext4 on a loop device, tmpfs, or tmpfs in a namespace.
struct SmallDisk {
    path: PathBuf,
    /// What comes before a command that shall see it.
    enter: Vec<String>,
    /// Keeps the namespace.
    holder: Option<Child>,
    mounted: bool,
    _folder: tempfile::TempDir,
}

impl SmallDisk {
    /// `TUPLIX_TEST_DISK` may name one of the kinds: ext4, tmpfs, namespace.
    fn mount() -> Option<SmallDisk> {
        let wanted = std::env::var("TUPLIX_TEST_DISK").ok();
        let kinds = ["ext4", "tmpfs", "namespace"].into_iter();
        for kind in kinds.filter(|kind| wanted.as_deref().is_none_or(|wanted| wanted == *kind)) {
            match SmallDisk::of(kind) {
                Ok(disk) => {
                    eprintln!("the small disk is {kind}");
                    return Some(disk);
                }
                Err(why) => eprintln!("no small disk of kind {kind} on this machine: {}", why.trim()),
            }
        }
        assert_eq!(wanted, None, "TUPLIX_TEST_DISK cannot be had");
        None
    }

    fn of(kind: &str) -> Result<SmallDisk, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        std::fs::create_dir(&path).unwrap();
        let mut disk = SmallDisk {
            path: path.clone(),
            enter: Vec::new(),
            holder: None,
            mounted: false,
            _folder: folder,
        };
        let place = path.to_str().unwrap();
        let tmpfs = format!("mount -t tmpfs -o size={DISK_MIB}m none {place}");
        match kind {
            "ext4" => {
                let image = path.with_extension("image");
                let image = image.display();
                let make = format!("truncate -s {DISK_MIB}M {image} && mkfs.ext4 -q -m 0 {image}");
                run(Command::new("/bin/sh")
                    .args(["-euc", &format!("{make} && mount -o loop {image} {place}")]))?;
                disk.mounted = true;
            }
            "tmpfs" => {
                run(Command::new("/bin/sh").args(["-euc", &tmpfs]))?;
                disk.mounted = true;
            }
            _ => {
                let mut command = Command::new("unshare");
                command.args(["--user", "--map-root-user", "--mount", "/bin/sh", "-euc"]);
                command
                    .arg(format!("{tmpfs}; echo here; read end"))
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped());
                let mut holder = command.spawn().map_err(|error| error.to_string())?;
                let mut line = String::new();
                BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
                let id = holder.id().to_string();
                disk.holder = Some(holder);
                if line.trim() != "here" {
                    return Err("user and mount namespaces are not permitted".to_owned());
                }
                let enter = ["nsenter", "--preserve-credentials", "--user", "--mount", "--target", &id];
                disk.enter = enter.map(str::to_owned).to_vec();
            }
        }
        Ok(disk)
    }

    /// A command that sees the disk.
    fn command(&self, program: &str) -> Command {
        match self.enter.split_first() {
            None => Command::new(program),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
        }
    }

    /// What a shell that sees the disk says, in its folder.
    fn shell(&self, script: &str) -> String {
        let script = format!("cd {}; {script}", self.path.display());
        let output = self.command("/bin/sh").args(["-euc", &script]).output().unwrap();
        assert!(output.status.success(), "{script}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    fn up(&self) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_tuplix"));
        command.args(["up", "--port", "0", "--partitions", "2", "--no-worker", "--memory", "1GiB"]);
        // Checkpoints when they are asked for.
        command.args(["--checkpoint-log-size", "8GiB", "--data"]).arg(self.path.join("data"));
        command.env("USER", "ada");
        command
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(text(&output.stderr)) }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if let Some(holder) = &mut self.holder {
            // The end of its input ends it, and with it the namespace; it may be gone already.
            drop(holder.stdin.take().map(|mut input| input.write_all(b"\n")));
            drop(holder.wait());
        }
        if self.mounted {
            let lazily = Command::new("umount").args([Path::new("-l"), &self.path]).status();
            drop(lazily);
        }
    }
}

async fn client(node: &Node) -> Client {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(node.port).user("ada").dbname("d");
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Inserts the row of this number; the error's SQLSTATE with everything that it says.
async fn insert(client: &Client, id: i64) -> Result<(), (String, String)> {
    let sql = format!("INSERT INTO kept VALUES ({id}, repeat('x', 200000))");
    client.batch_execute(&sql).await.map_err(said)
}

fn said(error: tokio_postgres::Error) -> (String, String) {
    let Some(error) = error.as_db_error() else { return (String::new(), error.to_string()) };
    let words = format!("{} {}", error.message(), error.hint().unwrap_or_default());
    (error.code().code().to_owned(), words)
}

/// Ids 1, 2, 3 and so on, whole: how many.
async fn rows(client: &Client) -> i64 {
    let sql =
        "SELECT count(*), coalesce(max(id), 0), count(*) FILTER (WHERE length(body) <> 200000) FROM kept";
    let row = client.query_one(sql, &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), row.get::<_, i64>(1), "rows are missing in between");
    assert_eq!(row.get::<_, i64>(2), 0, "rows are not whole");
    row.get(0)
}

/// Fills the disk: how many rows were acknowledged.
async fn fill(disk: &SmallDisk, node: &Node) -> i64 {
    let (first, second) = (client(node).await, client(node).await);
    first.batch_execute("CREATE TABLE kept (id bigint PRIMARY KEY, body text)").await.unwrap();
    let mut failed_at = None;
    let mut acknowledged = 0;
    for id in 1.. {
        if let Err((state, words)) = insert(&first, id).await {
            assert_eq!(state, "53100", "{words}");
            assert!(
                words.contains("the log has stopped") && words.contains("Free space on the disk"),
                "{words}"
            );
            break;
        }
        acknowledged = id;
        if id % BETWEEN == 0
            && let Err(error) = first.batch_execute("CHECKPOINT").await
        {
            let (state, words) = said(error);
            assert_eq!(state, "53100", "{words}");
            failed_at.get_or_insert(id);
            // Those before it are there, and nothing of it.
            let files = disk.shell("ls data/checkpoint");
            assert!(files.lines().count() == 2 && !files.contains(".new"), "{files}");
            let shown = "SELECT string_agg(state, ' ' ORDER BY made_at DESC) FROM tuplix.checkpoints";
            let states: String = first.query_one(shown, &[]).await.unwrap().get(0);
            assert_eq!(states, "failed kept kept");
        }
    }
    let failed_at = failed_at.expect("a checkpoint that does not fit");
    assert!(acknowledged > failed_at + BETWEEN, "{acknowledged} rows, a checkpoint failed at {failed_at}");
    // Nobody commits any more, and nobody sees what may be lost.
    assert_eq!(insert(&second, 0).await.unwrap_err().0, "53100");
    let read = second.query_one("SELECT count(*) FROM kept", &[]).await;
    assert_eq!(said(read.unwrap_err()).0, "53100");
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_loses_nothing() {
    let Some(disk) = SmallDisk::mount() else { return };
    disk.shell(&format!("dd if=/dev/zero of=ballast bs=1M count={BALLAST_MIB} status=none"));
    let node = Node::of(&mut disk.up());
    let mut trusting = disk.command(env!("CARGO_BIN_EXE_tuplix"));
    trusting.args(["sql", "--data"]).arg(disk.path.join("data")).arg(tuplix_wire::TRUST_LOOPBACK);
    run(trusting.env("USER", "ada")).unwrap();
    let acknowledged = fill(&disk, &node).await;
    node.kill();

    // Full as it is, nothing begins, and nothing is lost of what is there.
    let files = "ls data/log data/checkpoint";
    let before = disk.shell(files);
    let output = disk.up().output().unwrap();
    let words = text(&output.stderr);
    assert!(output.status.code() == Some(1) && words.contains("Free space on the disk"), "{words}");
    assert_eq!(disk.shell(files), before);

    disk.shell("rm ballast");
    let node = Node::of(&mut disk.up());
    let client = client(&node).await;
    let found = rows(&client).await;
    assert!(found == acknowledged || found == acknowledged + 1, "{found} of {acknowledged} rows");
    insert(&client, found + 1).await.unwrap();
    client.batch_execute("CHECKPOINT").await.unwrap();
    assert_eq!(rows(&client).await, found + 1);
    let (status, last_words) = node.terminate();
    assert!(status.success(), "{last_words}");
    let mut check = disk.command(env!("CARGO_BIN_EXE_tuplix"));
    let checked = check.args(["check", "--data"]).arg(disk.path.join("data")).output().unwrap();
    assert!(checked.status.success(), "{}{}", text(&checked.stdout), text(&checked.stderr));
}
