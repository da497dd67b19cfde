//! Listening, accepting, and ending it all in order.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as BlockingUnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinSet, block_in_place};
use tuplix::Tuplix;
use tuplix_types::{Severity, SqlError, sqlstate};

use crate::connection;
use crate::limits::{CONNECTIONS_MAX, DRAIN_TIMEOUT, SOCKET_PATH_BYTES_MAX, STARTUP_TIMEOUT};
use crate::protocol::Protocol;
use crate::running::Running;
use crate::startup::{self, Parameters, Request};
use crate::statistics::Statistics;

/// Where to listen.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Loopback address for TCP; port 0 lets the system choose one. `None`: no TCP.
    pub tcp: Option<SocketAddr>,
    /// Folder of the local socket, named `.s.PGSQL.<port>` as PostgreSQL's clients expect. `None`: no socket.
    pub socket_directory: Option<PathBuf>,
    /// The port in the socket's name when there is no TCP listener.
    pub socket_port: u16,
    /// Connections at a time; one more is refused with 53300.
    pub connections_max: usize,
    /// How long a shutdown lets running statements finish before it cancels them.
    pub drain_timeout: Duration,
}

impl Default for ServerOptions {
    fn default() -> ServerOptions {
        ServerOptions {
            tcp: Some(SocketAddr::from(([127, 0, 0, 1], crate::DEFAULT_PORT))),
            socket_directory: None,
            socket_port: crate::DEFAULT_PORT,
            connections_max: CONNECTIONS_MAX,
            drain_timeout: DRAIN_TIMEOUT,
        }
    }
}

/// Why a server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody listens there.
    #[error("{0} is in use by another program")]
    AddressInUse(SocketAddr),
    /// Only this machine is trusted, so only its own addresses may be listened on.
    #[error("{0} is not a loopback address: connections over TCP are not authenticated yet")]
    NotLoopback(SocketAddr),
    /// Another server answers on the socket.
    #[error("another server listens on {}", .0.display())]
    SocketInUse(PathBuf),
    /// The path does not fit a socket's address.
    #[error(
        "the path {} is too long for a local socket (at most {SOCKET_PATH_BYTES_MAX} bytes)",
        .0.display()
    )]
    SocketPathTooLong(PathBuf),
    /// Anything else that the system says.
    #[error("cannot listen on {place}: {error}")]
    Io {
        /// Address or path.
        place: String,
        /// What the system said.
        error: io::Error,
    },
}

/// A bound server; [`Server::serve`] answers until it is told to stop.
#[derive(Debug)]
pub struct Server {
    options: ServerOptions,
    tcp: Option<TcpListener>,
    socket: Option<(UnixListener, PathBuf)>,
    address: Option<SocketAddr>,
    statistics: Arc<Statistics>,
}

/// What every connection shares.
struct Shared {
    node: Tuplix,
    connections: Arc<Semaphore>,
    running: Running,
    shutdown: watch::Receiver<bool>,
    statistics: Arc<Statistics>,
}

impl Server {
    /// Starts to listen. Nothing is accepted before [`Server::serve`].
    ///
    /// # Errors
    /// [`BindError`] says what is in the way.
    pub async fn bind(options: ServerOptions) -> Result<Server, BindError> {
        let tcp = match options.tcp {
            Some(address) => Some(bind_tcp(address).await?),
            None => None,
        };
        let address = tcp.as_ref().and_then(|listener| listener.local_addr().ok());
        let socket = match &options.socket_directory {
            Some(directory) => {
                let port = address.map_or(options.socket_port, |address| address.port());
                Some(bind_socket(directory, port)?)
            }
            None => None,
        };
        Ok(Server { options, tcp, socket, address, statistics: Arc::default() })
    }

    /// The TCP address, with the port that the system chose if it was left to it.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// What the server does, in numbers; they live longer than it.
    pub fn statistics(&self) -> Arc<Statistics> {
        Arc::clone(&self.statistics)
    }

    /// The local socket.
    pub fn socket_path(&self) -> Option<&Path> {
        self.socket.as_ref().map(|(_, path)| path.as_path())
    }

    /// Answers clients until `stop` completes; then lets what runs finish, cancels what takes longer than
    /// the drain timeout, tells every client 57P01 and removes the socket.
    pub async fn serve(self, node: Tuplix, stop: impl Future<Output = ()>) {
        let (tell, shutdown) = watch::channel(false);
        let shared = Arc::new(Shared {
            node,
            connections: Arc::new(Semaphore::new(self.options.connections_max)),
            running: Running::default(),
            shutdown,
            statistics: self.statistics,
        });
        let mut tasks = JoinSet::new();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                accepted = accept_tcp(self.tcp.as_ref()) => match accepted {
                    Ok(stream) => drop(tasks.spawn(serve_tcp(Arc::clone(&shared), stream))),
                    Err(error) => accept_failed(&error).await,
                },
                accepted = accept_socket(self.socket.as_ref()) => match accepted {
                    Ok(stream) => drop(tasks.spawn(serve_socket(Arc::clone(&shared), stream))),
                    Err(error) => accept_failed(&error).await,
                },
                Some(ended) = tasks.join_next() => report(ended),
            }
        }
        drop(self.tcp);
        if let Some((listener, path)) = self.socket {
            drop(listener);
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::warn!(event = "socket_not_removed", %error, path = %path.display(), "cannot remove the socket");
            }
        }
        tell.send_replace(true);
        drain(&mut tasks, &shared, self.options.drain_timeout).await;
    }
}

/// Waits for all connections to end; cancels their statements when that takes too long.
async fn drain(tasks: &mut JoinSet<()>, shared: &Shared, timeout: Duration) {
    let all_end = async {
        while let Some(ended) = tasks.join_next().await {
            report(ended);
        }
    };
    tokio::pin!(all_end);
    if tokio::time::timeout(timeout, &mut all_end).await.is_ok() {
        return;
    }
    for (id, secret) in shared.running.sessions() {
        tracing::info!(event = "session_cancelled", session = id, "cancelled for shutdown");
        shared.node.cancel(id, secret);
    }
    all_end.await;
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(event = "connection_failed", %error, "a connection's task failed");
    }
}

async fn bind_tcp(address: SocketAddr) -> Result<TcpListener, BindError> {
    if !address.ip().is_loopback() {
        return Err(BindError::NotLoopback(address));
    }
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => BindError::AddressInUse(address),
        _ => BindError::Io { place: address.to_string(), error },
    })
}

fn bind_socket(directory: &Path, port: u16) -> Result<(UnixListener, PathBuf), BindError> {
    let path = directory.join(format!(".s.PGSQL.{port}"));
    if path.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
        return Err(BindError::SocketPathTooLong(path));
    }
    let failed = |error| BindError::Io { place: path.display().to_string(), error };
    if std::fs::symlink_metadata(&path).is_ok_and(|found| found.file_type().is_socket()) {
        // Left by a node that was killed, unless somebody answers.
        if BlockingUnixStream::connect(&path).is_ok() {
            return Err(BindError::SocketInUse(path));
        }
        std::fs::remove_file(&path).map_err(failed)?;
    }
    let listener = UnixListener::bind(&path).map_err(failed)?;
    // Every connection's peer is checked; this only spares others the attempt.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).map_err(failed)?;
    Ok((listener, path))
}

async fn accept_tcp(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(stream, _)| stream),
        None => std::future::pending().await,
    }
}

async fn accept_socket(listener: Option<&(UnixListener, PathBuf)>) -> io::Result<UnixStream> {
    match listener {
        Some((listener, _)) => listener.accept().await.map(|(stream, _)| stream),
        None => std::future::pending().await,
    }
}

/// Too many open files, mostly: says so and lets some close.
async fn accept_failed(error: &io::Error) {
    tracing::error!(event = "not_accepted", %error, "cannot accept a connection");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

async fn serve_tcp(shared: Arc<Shared>, mut stream: TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(event = "nagle_on", %error, "cannot switch off Nagle's algorithm");
    }
    let (reader, writer) = stream.split();
    serve_connection(&shared, reader, writer, None).await;
}

async fn serve_socket(shared: Arc<Shared>, mut stream: UnixStream) {
    let peer = stream.peer_cred().map(|credentials| credentials.uid());
    let (reader, writer) = stream.split();
    serve_connection(&shared, reader, writer, Some(peer)).await;
}

/// From the first packet to the last. `peer`: the user id at the other end of a local socket.
async fn serve_connection(
    shared: &Shared,
    mut reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
    peer: Option<io::Result<u32>>,
) {
    let mut input = BytesMut::with_capacity(1024);
    let request =
        connection::within(STARTUP_TIMEOUT, startup::read_request(&mut reader, &mut writer, &mut input));
    let mut shutdown = shared.shutdown.clone();
    let request = tokio::select! {
        request = request => request,
        _ = shutdown.wait_for(|stops| *stops) => Err(connection::administrator_command()),
    };
    let parameters = match request {
        Ok(Request::Session(parameters)) => parameters,
        Ok(Request::Cancel { id, secret }) => {
            shared.statistics.cancel_request();
            // No answer, whether it was right or wrong: so the protocol wants it.
            shared.node.cancel(id, secret);
            return;
        }
        Ok(Request::Gone) => return,
        Err(error) => return refuse(shared, &mut writer, &error).await,
    };
    let Ok(_permit) = shared.connections.try_acquire() else {
        return refuse(shared, &mut writer, &too_many()).await;
    };
    let opened = authenticate(peer, &parameters).and_then(|()| {
        block_in_place(|| {
            let session = startup::open_session(&shared.node, &parameters)?;
            let greeting = startup::greeting(&session, &parameters)?;
            let running = shared.running.register(session.id(), session.secret());
            Ok((Protocol::new(session, Arc::clone(&shared.statistics))?, greeting, running))
        })
    });
    match opened {
        Ok((protocol, greeting, _running)) => {
            let _open = shared.statistics.opened();
            connection::serve(reader, writer, protocol, input, greeting, shutdown).await;
        }
        Err(error) => refuse(shared, &mut writer, &error).await,
    }
}

/// Loopback TCP is trusted for now (docs/limits.md). On the local socket any name goes when the peer
/// runs as the node's own user or as root.
fn authenticate(peer: Option<io::Result<u32>>, parameters: &Parameters) -> Result<(), SqlError> {
    let own = rustix::process::geteuid().as_raw();
    match peer {
        None => Ok(()),
        Some(Ok(uid)) if uid == own || uid == 0 => Ok(()),
        Some(peer) => {
            let detail = match peer {
                Ok(uid) => format!("The client runs as user id {uid}, the node as {own}."),
                Err(error) => format!("The client's user id cannot be read: {error}."),
            };
            Err(SqlError::new(
                sqlstate::INVALID_AUTHORIZATION_SPECIFICATION,
                format!("Peer authentication failed for user \"{}\"", parameters.user),
            )
            .detail(detail)
            .severity(Severity::Fatal))
        }
    }
}

fn too_many() -> SqlError {
    SqlError::new(sqlstate::TOO_MANY_CONNECTIONS, "sorry, too many clients already").severity(Severity::Fatal)
}

async fn refuse(shared: &Shared, writer: &mut (impl AsyncWrite + Unpin), error: &SqlError) {
    shared.statistics.refused();
    shared.statistics.error(error.sqlstate().as_str());
    let message = startup::error_message(error);
    let sent = async {
        writer.write_all(&message).await?;
        writer.shutdown().await
    };
    if let Err(error) = sent.await {
        tracing::debug!(event = "client_left", %error, "the client left before it was refused");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn peers_are_checked_by_user_id() {
        let mut parameters = Parameters::default();
        parameters.user = "ada".into();
        let own = rustix::process::geteuid().as_raw();
        assert!(authenticate(Some(Ok(own)), &parameters).is_ok());
        assert!(authenticate(Some(Ok(0)), &parameters).is_ok());
        let error = authenticate(Some(Ok(own + 1)), &parameters).unwrap_err();
        assert_eq!(error.sqlstate(), sqlstate::INVALID_AUTHORIZATION_SPECIFICATION);
        assert_eq!(error.message(), "Peer authentication failed for user \"ada\"");
    }

    #[tokio::test]
    async fn only_loopback_is_listened_on() {
        let options = ServerOptions { tcp: Some("0.0.0.0:0".parse().unwrap()), ..ServerOptions::default() };
        assert!(matches!(Server::bind(options).await, Err(BindError::NotLoopback(_))));
    }

    #[tokio::test]
    async fn a_dead_nodes_socket_is_replaced_and_a_live_ones_is_not() {
        let folder = tempfile::tempdir().unwrap();
        drop(std::os::unix::net::UnixListener::bind(folder.path().join(".s.PGSQL.5433")).unwrap());
        let (_listener, path) = bind_socket(folder.path(), 5433).unwrap();
        assert_eq!(path, folder.path().join(".s.PGSQL.5433"));
        assert!(matches!(bind_socket(folder.path(), 5433), Err(BindError::SocketInUse(_))));
    }

    #[test]
    fn a_long_path_is_named() {
        let long = PathBuf::from(format!("/tmp/{}", "x".repeat(120)));
        assert!(matches!(bind_socket(&long, 5433), Err(BindError::SocketPathTooLong(_))));
    }
}
