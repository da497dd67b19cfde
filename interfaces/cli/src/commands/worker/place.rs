//! Where a worker works, who it is there, and how it comes in.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tuplix::Machine;
use tuplix_services::WorkerId;

/// The file of a worker's directory that has its number.
const NUMBER: &str = "id";

/// Numbers that are drawn have so many bits: nobody has to type more than 13 digits, and a million workers hardly ever draw the same.
const NUMBER_BITS: u32 = 42;

/// Makes the directory; its absolute path.
///
/// # Errors
/// It cannot be used.
pub(super) fn prepare(directory: &Path) -> anyhow::Result<PathBuf> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.and_then(|()| directory.canonicalize())
        .with_context(|| format!("cannot use {} as a worker's directory", directory.display()))
}

/// The worker's number: the one that was given, else its directory's, which is drawn once.
///
/// # Errors
/// The directory is another worker's, or cannot be used.
pub(super) fn number(directory: &Path, given: Option<i64>) -> anyhow::Result<WorkerId> {
    let file = directory.join(NUMBER);
    let failed = || format!("cannot use {}", file.display());
    let known = match fs::read_to_string(&file) {
        Ok(text) => Some(text.trim().parse::<i64>().with_context(failed)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(failed),
    };
    if let (Some(known), Some(given)) = (known, given)
        && known != given
    {
        bail!("{} is the directory of worker {known}, not {given}", directory.display());
    }
    let number = known.or(given).unwrap_or_else(draw);
    if known.is_none() {
        fs::write(&file, format!("{number}\n")).with_context(failed)?;
    }
    Ok(WorkerId(number))
}

/// Above those that people give.
fn draw() -> i64 {
    let random = Machine::linux().random_u64() >> (64 - NUMBER_BITS);
    i64::try_from(random).unwrap_or_default() | 1 << 20
}

/// The address with the role and password of a token, `ROLE:PASSWORD`.
///
/// # Errors
/// What is no token, or an address that has a role already.
pub(super) fn with_token(url: &str, token: Option<&str>) -> anyhow::Result<String> {
    let Some(token) = token.map(str::trim).filter(|token| !token.is_empty()) else {
        return Ok(url.to_owned());
    };
    let Some((role, password)) = token.rsplit_once(':') else {
        bail!("the token is not ROLE:PASSWORD, as tuplix worker token prints it");
    };
    for scheme in ["postgres://", "postgresql://"] {
        let Some(rest) = url.strip_prefix(scheme) else { continue };
        if rest.split('/').next().is_some_and(|place| place.contains('@')) {
            bail!("the address names a role, and so does the token: leave one out");
        }
        return Ok(format!("{scheme}{}:{}@{rest}", percent(role), percent(password)));
    }
    let quote = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
    Ok(format!("{url} user={} password={}", quote(role), quote(password)))
}

/// A token from a file, else from the environment.
///
/// # Errors
/// The file cannot be read.
pub(super) fn token(file: Option<&Path>, environment: Option<String>) -> anyhow::Result<Option<String>> {
    let Some(file) = file else { return Ok(environment) };
    fs::read_to_string(file).map(Some).with_context(|| format!("cannot read the token in {}", file.display()))
}

fn percent(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// The node's socket, where the address is that of one (`host=/folder port=5433`): tasks get it too.
pub(super) fn socket(url: &str) -> Option<PathBuf> {
    let value =
        |name: &str| url.split_ascii_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let folder = Path::new(value("host")?.trim_matches('\'')).to_owned();
    let port = value("port").unwrap_or("5433");
    Some(folder.join(format!(".s.PGSQL.{port}"))).filter(|socket| socket.is_absolute() && socket.exists())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_token_goes_into_the_address() {
        for (url, expected) in [
            ("postgres://node:5433/tuplix", "postgres://b:p%2Fw@node:5433/tuplix"),
            ("host=/srv/t port=5433", "host=/srv/t port=5433 user='b' password='p/w'"),
        ] {
            assert_eq!(with_token(url, Some("b:p/w\n")).unwrap(), expected);
            assert_eq!(with_token(url, None).unwrap(), url);
        }
        assert!(
            with_token("postgres://a@node", Some("b:p")).unwrap_err().to_string().contains("leave one out")
        );
        assert!(with_token("postgres://node", Some("b")).unwrap_err().to_string().contains("ROLE:PASSWORD"));
    }

    #[test]
    fn a_directory_keeps_its_number() {
        let folder = tempfile::tempdir().unwrap();
        let drawn = number(folder.path(), None).unwrap();
        assert_eq!(number(folder.path(), None).unwrap(), drawn);
        assert_eq!(number(folder.path(), Some(drawn.0)).unwrap(), drawn);
        assert!(number(folder.path(), Some(7)).unwrap_err().to_string().contains(&drawn.to_string()));
    }
}
