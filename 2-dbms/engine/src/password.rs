//! Passwords as SCRAM-SHA-256 verifiers (RFC 5802, RFC 7677), in the form that PostgreSQL keeps and `pg_dumpall` writes:
//! `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, the last three in base64.
//!
//! The password itself is nowhere: neither the catalogue nor the log has it, and neither could be used to log in.

use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, pbkdf2};

/// How often a password is hashed, PostgreSQL's number.
pub const SCRAM_ITERATIONS: u32 = 4096;
/// Bytes of a new verifier's salt.
pub const SALT_BYTES: usize = 16;
const METHOD: &str = "SCRAM-SHA-256";
const KEY_BYTES: usize = 32;

/// What a server has to know to check a password, and to prove to the client that it does.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    /// How often the password was hashed.
    pub iterations: u32,
    /// What it was hashed with.
    pub salt: Vec<u8>,
    /// `SHA256(ClientKey)`
    pub stored_key: Vec<u8>,
    /// What the server signs with.
    pub server_key: Vec<u8>,
}

impl Verifier {
    /// The verifier of a password.
    pub fn of(password: &str, salt: &[u8], iterations: NonZeroU32) -> Verifier {
        // As PostgreSQL: what SASLprep does not allow is taken as it is.
        let prepared = stringprep::saslprep(password).unwrap_or(std::borrow::Cow::Borrowed(password));
        let mut salted = [0; KEY_BYTES];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, prepared.as_bytes(), &mut salted);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
        let client_key = hmac::sign(&key, b"Client Key");
        Verifier {
            iterations: iterations.get(),
            salt: salt.to_vec(),
            stored_key: digest::digest(&digest::SHA256, client_key.as_ref()).as_ref().to_vec(),
            server_key: hmac::sign(&key, b"Server Key").as_ref().to_vec(),
        }
    }

    /// Reads PostgreSQL's form; `None` when the text is none.
    pub fn parse(text: &str) -> Option<Verifier> {
        let mut parts = text.split('$');
        let (method, work, keys) = (parts.next()?, parts.next()?, parts.next()?);
        let (iterations, salt) = work.split_once(':')?;
        let (stored, server) = keys.split_once(':')?;
        if method != METHOD || parts.next().is_some() {
            return None;
        }
        let iterations: u32 = iterations.parse().ok().filter(|number| *number > 0)?;
        let salt = STANDARD.decode(salt).ok().filter(|salt| !salt.is_empty())?;
        let key = |text| STANDARD.decode(text).ok().filter(|key: &Vec<u8>| key.len() == KEY_BYTES);
        Some(Verifier { iterations, salt, stored_key: key(stored)?, server_key: key(server)? })
    }

    /// A verifier that no password fits and that looks like a role's own: the same for a name each time it is asked for,
    /// so that who guesses names learns nothing. `secret` is the node's.
    pub fn mock(name: &str, secret: &[u8]) -> Verifier {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let part = |what: &[u8]| {
            let mut context = hmac::Context::with_key(&key);
            context.update(what);
            context.update(name.as_bytes());
            context.sign().as_ref().to_vec()
        };
        let mut salt = part(b"salt ");
        salt.truncate(SALT_BYTES);
        Verifier {
            iterations: SCRAM_ITERATIONS,
            salt,
            stored_key: part(b"stored "),
            server_key: part(b"server "),
        }
    }

    /// Whether a password is the one that the verifier was made of.
    pub fn fits(&self, password: &str) -> bool {
        let Some(iterations) = NonZeroU32::new(self.iterations) else { return false };
        Verifier::of(password, &self.salt, iterations) == *self
    }
}

impl std::fmt::Display for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [salt, stored, server] =
            [&self.salt, &self.stored_key, &self.server_key].map(|bytes| STANDARD.encode(bytes));
        write!(f, "{METHOD}${}:{salt}${stored}:{server}", self.iterations)
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Verifier({} iterations)", self.iterations)
    }
}

/// Whether a text is an MD5 hash of a password as older PostgreSQLs kept it.
pub(crate) fn is_md5(text: &str) -> bool {
    text.len() == 35 && text.starts_with("md5") && text.bytes().skip(3).all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// `SELECT rolpassword FROM pg_authid` of PostgreSQL 15 after `CREATE ROLE r PASSWORD 'pencil'`.
    const OF_POSTGRESQL: &str = "SCRAM-SHA-256$4096:INK2FzIfYNroRi1BIvyy0w==$rvy+18+uiEjlK6JQmRZusUGCkeH3Ee1ubz1eGuAsa6Y=:Fsil9llLaebLQYHENnHvLRbKvtlJceY4QWzzE8YsotU=";

    #[test]
    fn postgresql_hashes_alike() {
        let verifier = Verifier::parse(OF_POSTGRESQL).unwrap();
        assert!(verifier.fits("pencil") && !verifier.fits("Pencil"));
        assert_eq!(verifier.to_string(), OF_POSTGRESQL);
    }

    #[test]
    fn other_texts_are_passwords() {
        let damaged = OF_POSTGRESQL.replace("4096", "0");
        let short = &OF_POSTGRESQL[..OF_POSTGRESQL.len() - 4];
        for text in ["", "pencil", "SCRAM-SHA-256$4096:a$b", &damaged, short, &format!("{OF_POSTGRESQL}$")] {
            assert_eq!(Verifier::parse(text), None, "{text}");
        }
        assert!(is_md5("md53fd4dbd46e2ba4fd8a5a1e1a4e9f4a4e") && !is_md5("md5"));
    }

    #[test]
    fn a_mock_is_steady_and_of_its_name() {
        let mock = Verifier::mock("ada", b"secret");
        assert_eq!(mock, Verifier::mock("ada", b"secret"));
        assert_ne!(mock.salt, Verifier::mock("bob", b"secret").salt);
        assert_eq!(Verifier::parse(&mock.to_string()), Some(mock));
    }
}
