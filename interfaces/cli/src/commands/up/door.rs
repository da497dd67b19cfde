//! Who may come in: addresses, TLS, the number of connections, the first user, and the way back in for who has locked himself out.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tuplix::{Tuplix, Value};
use tuplix_wire::{Tls, TlsFiles};

use crate::commands::explain;

/// Arguments of the door.
#[derive(Args)]
pub(super) struct Door {
    /// Listen on this address; 0.0.0.0 and :: are all addresses. Beyond this machine it implies --tls, and nobody gets in without a
    /// host rule.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(super) listen: IpAddr,
    /// Encrypt connections over TCP for clients that ask for it, with server.crt and server.key of the data directory, which are made
    /// when they are missing.
    #[arg(long)]
    tls: bool,
    /// The same with this certificate, in PEM. SIGHUP has certificate and key read again.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's key, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Connections at a time; the last three are for superusers. One more is refused (53300).
    #[arg(long, value_name = "N", default_value_t = tuplix_wire::limits::CONNECTIONS_MAX as u32,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) connections: u32,
    /// For who has locked himself out: let the system user who runs the node, and nobody else, in by the local socket as any role, whatever
    /// host rules and LOGIN say.
    #[arg(long)]
    pub(super) rescue: bool,
}

impl Door {
    /// What encrypts connections.
    ///
    /// # Errors
    /// When certificate and key cannot be used.
    pub(super) fn tls(&self, directory: &Path) -> anyhow::Result<Option<Arc<Tls>>> {
        let files = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => TlsFiles { certificate: certificate.clone(), key: key.clone() },
            _ if self.tls || !self.listen.is_loopback() => TlsFiles::of_directory(directory)?,
            _ => return Ok(None),
        };
        Ok(Some(Arc::new(Tls::new(files)?)))
    }
}

/// Has certificate and key read again at each SIGHUP.
pub(super) fn reload_on_hangup(tls: Arc<Tls>) -> anyhow::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            match tls.reload() {
                Ok(()) => tracing::info!(event = "tls_reloaded", "certificate and key were read again"),
                Err(error) => eprintln!("tuplix: the certificate in use stays: {error}"),
            }
        }
    });
    Ok(())
}

/// Until somebody makes a role, whoever runs the node is its superuser under his own name too.
pub(super) fn first_user(node: &Tuplix) -> anyhow::Result<()> {
    let user = crate::node::user();
    let make = || {
        let mut session = node.session(&Default::default())?;
        let alone =
            "SELECT count(*) = 1 AND max(rolname) <> $1 FROM pg_roles WHERE rolname NOT LIKE 'pg\\_%'";
        let alone = session.query(alone, &[Value::text(user.as_str())])?;
        if alone.get(0, 0) == Some(&Value::Bool(true)) {
            let quoted = user.replace('"', "\"\"");
            let attributes = "SUPERUSER CREATEROLE CREATEDB REPLICATION BYPASSRLS LOGIN";
            session.execute(&format!("CREATE ROLE \"{quoted}\" {attributes}"))?;
        }
        Ok(())
    };
    let made: tuplix::Result<()> = make();
    made.map_err(|error| explain(&error))
        .with_context(|| format!("cannot make a role of the user \"{user}\""))
}
