//! TLS towards a server, by rustls with ring: the modes of libpq's `sslmode`, and what binds a password to a certificate.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use ring::digest;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, ring as provider, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
    StreamOwned,
};
use tuplix_types::{Result, SqlError, sqlstate};

/// Whether a connection by TCP is encrypted, and how much the server has to prove (manual chapter 34.19).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SslMode {
    /// Never encrypted.
    Disable,
    /// Encrypted when the server offers it.
    #[default]
    Prefer,
    /// Encrypted or refused; whoever answers is believed.
    Require,
    /// The certificate has to be signed by one of the root certificates.
    VerifyCa,
    /// And to be made for the host's name.
    VerifyFull,
}

impl FromStr for SslMode {
    type Err = SqlError;

    fn from_str(text: &str) -> Result<SslMode> {
        Ok(match text {
            "disable" => SslMode::Disable,
            "prefer" => SslMode::Prefer,
            "require" => SslMode::Require,
            "verify-ca" => SslMode::VerifyCa,
            "verify-full" => SslMode::VerifyFull,
            _ => {
                let message = format!("invalid sslmode \"{text}\"");
                return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message)
                    .hint("Use disable, prefer, require, verify-ca or verify-full."));
            }
        })
    }
}

/// What an address says of TLS.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tls {
    pub(crate) mode: SslMode,
    /// The root certificates, in PEM.
    pub(crate) root: Option<PathBuf>,
}

/// 08001: there is a server, and no connection that the address would take.
pub(crate) fn refused(message: String) -> SqlError {
    SqlError::new(sqlstate::SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION, message)
}

impl Tls {
    /// Encrypts a stream whose server has agreed to it.
    ///
    /// # Errors
    /// 08001 when the two find no common language, or the server does not prove what it has to; 22023 without root certificates.
    pub(crate) fn encrypt(
        &self,
        mut stream: TcpStream,
        host: &str,
    ) -> Result<StreamOwned<ClientConnection, TcpStream>> {
        let untrusted = |why: &dyn std::fmt::Display| {
            refused(format!("the server at {host} and this client found no TLS: {why}"))
        };
        let name = ServerName::try_from(host.to_owned()).map_err(|error| untrusted(&error))?;
        let mut connection =
            ClientConnection::new(self.configuration()?, name).map_err(|error| untrusted(&error))?;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream).map_err(|error| untrusted(&error))?;
        }
        Ok(StreamOwned::new(connection, stream))
    }

    fn configuration(&self) -> Result<Arc<ClientConfig>> {
        let provider = Arc::new(provider::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let internal = |error: rustls::Error| refused(format!("TLS cannot be used: {error}"));
        let chain = match self.roots() {
            None => None,
            Some(path) => {
                let roots = Arc::new(roots(&path)?);
                let chain = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build();
                Some(chain.map_err(|error| refused(format!("{} cannot be used: {error}", path.display())))?)
            }
        };
        let verifier = Verifier { chain, checks_name: self.mode == SslMode::VerifyFull, algorithms };
        let configuration = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(internal)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Arc::new(configuration))
    }

    /// The file of root certificates, where the server's certificate is looked at: as in libpq also with `require`, once there is one.
    fn roots(&self) -> Option<PathBuf> {
        match (self.mode, &self.root) {
            (SslMode::Disable | SslMode::Prefer, _) | (SslMode::Require, None) => None,
            (_, Some(root)) => Some(root.clone()),
            (_, None) => {
                let home = std::env::var_os("HOME").unwrap_or_default();
                Some(Path::new(&home).join(".postgresql/root.crt"))
            }
        }
    }
}

fn roots(path: &Path) -> Result<RootCertStore> {
    let unusable = |why: &dyn std::fmt::Display| {
        let message = format!("root certificates cannot be read from {}: {why}", path.display());
        SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message)
            .hint("Name their file as sslrootcert, or do without the check: sslmode=require.")
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unusable(&error))? {
        let certificate = certificate.map_err(|error| unusable(&error))?;
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    match roots.is_empty() {
        true => Err(unusable(&"there is none in it")),
        false => Ok(roots),
    }
}

/// Looks at the server's certificate as far as the mode asks for.
#[derive(Debug)]
struct Verifier {
    /// `None`: whoever answers is believed.
    chain: Option<Arc<WebPkiServerVerifier>>,
    checks_name: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        use CertificateError::{NotValidForName, NotValidForNameContext};
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(end_entity, intermediates, name, ocsp, now) {
            // The name is looked at last.
            Err(rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }))
                if !self.checks_name =>
            {
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Algorithms of signatures by their object identifiers, and the hash that binds a channel (RFC 5929: that of the signature, SHA-256 for
/// what is weaker).
const HASHES: [(&[u8], &digest::Algorithm); 8] = [
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x04], &digest::SHA256),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05], &digest::SHA256),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b], &digest::SHA256),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c], &digest::SHA384),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d], &digest::SHA512),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02], &digest::SHA256),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03], &digest::SHA384),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04], &digest::SHA512),
];

/// The hash of a server's certificate (`tls-server-end-point`); `None` when its signature has none that is agreed upon.
pub(crate) fn end_point(connection: &ClientConnection) -> Option<Vec<u8>> {
    let certificate = connection.peer_certificates()?.first()?;
    let algorithm = signature_algorithm(certificate)?;
    let (_, hash) = HASHES.iter().find(|(identifier, _)| *identifier == algorithm)?;
    Some(digest::digest(hash, certificate).as_ref().to_vec())
}

/// Certificate ::= SEQUENCE { what is signed, SEQUENCE { OBJECT IDENTIFIER, ... }, the signature }
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const OBJECT_IDENTIFIER: u8 = 0x06;
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (_, rest) = element(certificate, SEQUENCE)?;
    let (algorithm, _) = element(rest, SEQUENCE)?;
    element(algorithm, OBJECT_IDENTIFIER).map(|(identifier, _)| identifier)
}

/// The content of an element of DER, and what stands behind it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], mut rest) = bytes.split_first_chunk::<2>()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let (digits, behind) =
            rest.split_at_checked(usize::from(first & 0x7f)).filter(|(d, _)| d.len() <= 4)?;
        length = digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit));
        rest = behind;
    }
    rest.split_at_checked(length).filter(|_| found == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_names_its_algorithm() {
        let certificate = [0x30, 0x0c, 0x30, 0x02, 1, 2, 0x30, 0x04, 0x06, 0x02, 7, 8, 0x03, 0x00];
        assert_eq!(signature_algorithm(&certificate), Some(&[7, 8][..]));
        for length in 0..certificate.len() {
            assert_eq!(signature_algorithm(&certificate[..length]), None);
        }
        assert_eq!(element(&[0x30, 0x81, 1, 9, 5], 0x30), Some((&[9][..], &[5][..])));
        assert_eq!(element(&[0x30, 0x85, 0, 0, 0, 0, 0], 0x30), None);
    }

    #[test]
    fn modes_are_those_of_libpq() {
        assert_eq!("verify-full".parse::<SslMode>().ok(), Some(SslMode::VerifyFull));
        assert_eq!(
            "maybe".parse::<SslMode>().map_err(|error| error.sqlstate()),
            Err(sqlstate::INVALID_PARAMETER_VALUE)
        );
    }
}
