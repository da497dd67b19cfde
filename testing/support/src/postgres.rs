//! A PostgreSQL cluster of a test's own.
//!
//! A shell keeps it: it makes the cluster in a temporary folder, starts the server, says `ready`, waits for its
//! standard input to end, stops the server and removes the folder. The test holds the other end of that pipe, so nothing
//! stays behind however the test ends, by `kill -9` too.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// Somebody else may take the free port before the server does.
const ATTEMPTS: usize = 5;

/// What the shell does. `$1` programs, `$2` folder, `$3` port, `$4` how
/// users other than `postgres` show who they are, then the server's settings.
const KEEPER: &str = r#"
bin=$1 dir=$2 port=$3 access=$4
shift 4
trap 'rm -rf "$dir"' EXIT
"$bin/initdb" --pgdata="$dir/data" --username=postgres --auth=trust --locale=C.UTF-8 --encoding=UTF8 --no-sync \
    >"$dir/initdb.log" 2>&1 || { cat "$dir/initdb.log"; exit 1; }
for option in "listen_addresses='127.0.0.1'" "port=$port" "unix_socket_directories='$dir'" "$@"; do
    echo "$option" >>"$dir/data/postgresql.conf"
done
printf '%s\n' 'local all all trust' 'host all postgres all trust' "host all all all $access" >"$dir/data/pg_hba.conf"
"$bin/pg_ctl" --pgdata="$dir/data" --log="$dir/server.log" --wait --timeout=60 --silent start \
    || { cat "$dir/server.log"; exit 1; }
echo ready
read -r _
"$bin/pg_ctl" --pgdata="$dir/data" --mode=immediate --wait --silent stop
"#;

/// How a cluster runs.
#[derive(Clone, Debug, Default)]
pub struct PostgresOptions {
    /// `fsync`: off for tests, on for what is measured.
    pub fsync: bool,
    /// `synchronous_commit`
    pub synchronous_commit: bool,
    /// Further settings, as in `postgresql.conf`.
    pub settings: Vec<(String, String)>,
    /// Whether users other than `postgres` need passwords.
    pub passwords: bool,
}

/// A running cluster; it ends and is removed when this is dropped.
#[derive(Debug)]
pub struct PostgresCluster {
    keeper: Child,
    folder: PathBuf,
    port: u16,
}

impl PostgresCluster {
    /// A cluster for tests: nothing survives a crash.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not start; says what to do.
    pub fn start() -> Result<PostgresCluster> {
        PostgresCluster::start_with(&PostgresOptions::default())
    }

    /// A cluster.
    ///
    /// # Errors
    /// As [`PostgresCluster::start`].
    pub fn start_with(options: &PostgresOptions) -> Result<PostgresCluster> {
        let programs = programs()?;
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            match attempt(&programs, options)? {
                Ok(cluster) => return Ok(cluster),
                Err(said) if said.contains("could not bind") => last = said,
                Err(said) => bail!("PostgreSQL does not start:\n{said}"),
            }
        }
        bail!("PostgreSQL found no free port in {ATTEMPTS} attempts:\n{last}")
    }

    /// Its address, for `tuplix::Tuplix::connect` and other clients.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// The address of its local socket.
    pub fn socket_url(&self) -> String {
        let folder = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{folder}:{}/postgres", self.port)
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The end of its log, for messages of failed tests.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("server.log")).unwrap_or_default()
    }
}

impl Drop for PostgresCluster {
    fn drop(&mut self) {
        // The keeper's `read` ends when the pipe does.
        drop(self.keeper.stdin.take());
        if let Err(error) = self.keeper.wait() {
            eprintln!("the keeper of the PostgreSQL cluster in {} is lost: {error}", self.folder.display());
        }
    }
}

/// Starts a cluster on a port that is free now; what the programs said when they did not.
fn attempt(programs: &Path, options: &PostgresOptions) -> Result<Result<PostgresCluster, String>> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    // Kept from here on by the shell.
    let folder = tempfile::Builder::new().prefix("tuplix-postgres-").tempdir()?.keep();
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(KEEPER).arg("sh").arg(programs).arg(&folder).arg(port.to_string());
    shell.arg(if options.passwords { "md5" } else { "trust" });
    shell.args(settings(options));
    shell.current_dir(&folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    // Ctrl-C in the terminal ends the test, whose end ends the shell.
    shell.process_group(0);
    if let Some((user, group)) = server_user()? {
        std::os::unix::fs::chown(&folder, Some(user), Some(group))?;
        shell.uid(user).gid(group);
    }
    let mut keeper = shell.spawn().context("cannot run sh")?;
    let mut output = BufReader::new(keeper.stdout.take().context("the shell has no output")?);
    let mut said = String::new();
    output.read_line(&mut said)?;
    if said == "ready\n" {
        return Ok(Ok(PostgresCluster { keeper, folder, port }));
    }
    output.read_to_string(&mut said)?;
    keeper.wait()?;
    Ok(Err(said))
}

fn settings(options: &PostgresOptions) -> Vec<String> {
    let on = |on| if on { "on" } else { "off" };
    let mut settings = vec![
        format!("fsync={}", on(options.fsync)),
        format!("synchronous_commit={}", on(options.synchronous_commit)),
        "timezone='UTC'".to_owned(),
        "max_connections=200".to_owned(),
    ];
    for (name, value) in &options.settings {
        let mut setting = String::new();
        // Writing to a string cannot fail.
        let _ = write!(setting, "{name}='{}'", value.replace('\'', "''"));
        settings.push(setting);
    }
    settings
}

/// The folder with `initdb` and `pg_ctl`.
fn programs() -> Result<PathBuf> {
    let complete = |folder: &Path| folder.join("initdb").exists() && folder.join("pg_ctl").exists();
    let said = Command::new("pg_config").arg("--bindir").output();
    let named = said.ok().map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    if let Some(folder) = named.filter(|folder| complete(folder)) {
        return Ok(folder);
    }
    // Debian keeps every version in a folder of its own, outside PATH.
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten() {
        let folder = entry?.path();
        let version =
            folder.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok());
        found.extend(version.map(|version| (version, folder.join("bin"))));
    }
    found.retain(|(version, folder)| *version >= 15 && complete(folder));
    found.sort();
    let newest = found.pop().map(|(_, folder)| folder);
    newest.context("PostgreSQL is not installed: apt-get install postgresql (15 or newer)")
}

/// The user whom root lets run the server, which refuses to run as root.
fn server_user() -> Result<Option<(u32, u32)>> {
    use std::os::unix::fs::MetadataExt;
    // The owner of one's own entry in /proc is the effective user.
    if std::fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd")?;
    for line in users.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        if let ["postgres", _, user, group, ..] = fields[..] {
            return Ok(Some((user.parse()?, group.parse()?)));
        }
    }
    bail!("there is no user \"postgres\" to run the server: apt-get install postgresql makes it")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn nothing_stays_behind() {
        let cluster = PostgresCluster::start().unwrap();
        let (folder, port) = (cluster.folder.clone(), cluster.port());
        assert!(folder.join(format!(".s.PGSQL.{port}")).exists());
        assert!(cluster.log().contains("ready to accept connections"));
        drop(cluster);
        assert!(!folder.exists());
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    }

    #[test]
    fn what_the_server_says_is_the_error() {
        let settings = vec![("work_mem".to_owned(), "much".to_owned())];
        let options = PostgresOptions { settings, ..PostgresOptions::default() };
        let error = PostgresCluster::start_with(&options).unwrap_err().to_string();
        assert!(error.contains("invalid value for parameter \"work_mem\""), "{error}");
    }
}
