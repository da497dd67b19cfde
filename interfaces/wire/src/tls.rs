//! TLS by rustls with ring: certificate and key from files, or made when there are none.
//!
//! The files are read when the server starts and whenever it is told to ([`Tls::reload`]); connections keep what they
//! began with.

use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use std::io::Write as _;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The certificate's file in a data directory when none is named.
const CERTIFICATE: &str = "server.crt";
/// The key's.
const KEY: &str = "server.key";

/// Where certificate and key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate and those that signed it, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("cannot use {}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        error: String,
    },
    /// Certificate and key do not go together, or are not what TLS takes.
    #[error("certificate {} and key {} cannot be used: {error}", files.certificate.display(), files.key.display())]
    Unusable {
        /// The two.
        files: TlsFiles,
        /// Why.
        error: String,
    },
}

impl TlsFiles {
    /// Those of a data directory, made if they are missing: a self-signed certificate for `localhost`, which encrypts and
    /// proves nothing of who the server is.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn of_directory(directory: &Path) -> Result<TlsFiles, TlsError> {
        let files = TlsFiles { certificate: directory.join(CERTIFICATE), key: directory.join(KEY) };
        if files.certificate.exists() && files.key.exists() {
            return Ok(files);
        }
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])
            .map_err(|error| TlsError::Unusable { files: files.clone(), error: error.to_string() })?;
        // The certificate last: it says that both are there.
        write(&files.key, &made.signing_key.serialize_pem(), 0o600)?;
        write(&files.certificate, &made.cert.pem(), 0o644)?;
        Ok(files)
    }
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), TlsError> {
    let failed = |error: io::Error| TlsError::File { path: path.to_owned(), error: error.to_string() };
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
}

/// Certificate and key in use.
#[derive(Clone)]
struct Identity {
    acceptor: TlsAcceptor,
    /// The certificates as they were read, for channel binding.
    pem: Vec<u8>,
}

/// A server's TLS.
pub struct Tls {
    files: TlsFiles,
    identity: RwLock<Identity>,
}

impl Tls {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// [`TlsError`] says what is wrong with them.
    pub fn new(files: TlsFiles) -> Result<Tls, TlsError> {
        let identity = RwLock::new(read(&files)?);
        Ok(Tls { files, identity })
    }

    /// Reads certificate and key again, for the connections to come.
    ///
    /// # Errors
    /// As [`Tls::new`]; those in use stay then.
    pub fn reload(&self) -> Result<(), TlsError> {
        let identity = read(&self.files)?;
        *self.identity.write().unwrap_or_else(PoisonError::into_inner) = identity;
        Ok(())
    }

    /// What accepts connections, and the certificates that it shows.
    pub(crate) fn acceptor(&self) -> (TlsAcceptor, Vec<u8>) {
        let identity = self.identity.read().unwrap_or_else(PoisonError::into_inner).clone();
        (identity.acceptor, identity.pem)
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tls({})", self.files.certificate.display())
    }
}

fn read(files: &TlsFiles) -> Result<Identity, TlsError> {
    let file = |path: &Path, error: String| TlsError::File { path: path.to_owned(), error };
    let pem =
        std::fs::read(&files.certificate).map_err(|error| file(&files.certificate, error.to_string()))?;
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| file(&files.certificate, error.to_string()))?;
    if certificates.is_empty() {
        return Err(file(&files.certificate, "it has no certificate".to_owned()));
    }
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|error| file(&files.key, error.to_string()))?;
    let unusable = |error: tokio_rustls::rustls::Error| TlsError::Unusable {
        files: files.clone(),
        error: error.to_string(),
    };
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(unusable)?;
    Ok(Identity { acceptor: TlsAcceptor::from(Arc::new(config)), pem })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_directory_gets_a_certificate_once() {
        let folder = tempfile::tempdir().unwrap();
        let files = TlsFiles::of_directory(folder.path()).unwrap();
        let key = std::fs::read(&files.key).unwrap();
        assert_eq!(std::fs::metadata(&files.key).unwrap().permissions().mode() & 0o777, 0o600);
        let tls = Tls::new(files.clone()).unwrap();
        assert_eq!(TlsFiles::of_directory(folder.path()).unwrap(), files);
        assert_eq!(std::fs::read(&files.key).unwrap(), key);
        // Another pair, read when it is asked for.
        std::fs::remove_file(&files.certificate).unwrap();
        TlsFiles::of_directory(folder.path()).unwrap();
        let before = tls.acceptor().1;
        tls.reload().unwrap();
        assert_ne!(tls.acceptor().1, before);
        // One that is damaged leaves the one in use.
        std::fs::write(&files.key, "no key").unwrap();
        assert!(tls.reload().unwrap_err().to_string().contains("server.key"));
    }
}
