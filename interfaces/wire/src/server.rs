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

use crate::authentication::{Door, Origin, Stream};
use crate::connection;
use crate::limits::{
    CONNECTIONS_MAX, CONNECTIONS_RESERVED, DRAIN_TIMEOUT, SOCKET_PATH_BYTES_MAX, STARTUP_TIMEOUT,
};
use crate::protocol::Protocol;
use crate::running::{Registered, Running};
use crate::startup::{self, Parameters, Request};
use crate::statistics::Statistics;
use crate::tls::Tls;

/// Where to listen.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Address for TCP; port 0 lets the system choose one. `None`: no TCP. Host rules say who may come in by it.
    pub tcp: Option<SocketAddr>,
    /// Folder of the local socket, named `.s.PGSQL.<port>` as PostgreSQL's clients expect. `None`: no socket.
    pub socket_directory: Option<PathBuf>,
    /// The port in the socket's name when there is no TCP listener.
    pub socket_port: u16,
    /// Connections at a time; one more is refused with 53300.
    pub connections_max: usize,
    /// How many of them only superusers may have.
    pub connections_reserved: usize,
    /// What encrypts connections over TCP; without it clients that ask for TLS are told that there is none.
    pub tls: Option<Arc<Tls>>,
    /// Host rules and LOGIN count for nothing: by the local socket the node's own user comes in as whoever he likes, and
    /// nobody comes in by TCP.
    pub rescue: bool,
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
            connections_reserved: CONNECTIONS_RESERVED,
            tls: None,
            rescue: false,
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
    connections_reserved: usize,
    tls: Option<Arc<Tls>>,
    door: Door,
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

    /// Whether clients by TCP can have their connection encrypted.
    pub fn encrypts(&self) -> bool {
        self.options.tls.is_some()
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
            connections_reserved: self.options.connections_reserved,
            tls: self.options.tls.clone(),
            door: Door::new(secret(), self.options.rescue),
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
                    Ok((stream, from)) => drop(tasks.spawn(serve_tcp(Arc::clone(&shared), stream, from))),
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
    // Every connection's peer is checked, so whoever gets into the directory may knock.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).map_err(failed)?;
    Ok((listener, path))
}

async fn accept_tcp(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
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

async fn serve_tcp(shared: Arc<Shared>, mut stream: TcpStream, address: SocketAddr) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(event = "nagle_on", %error, "cannot switch off Nagle's algorithm");
    }
    let mut input = BytesMut::with_capacity(1024);
    let request = first_request(&shared, &mut stream, &mut input, shared.tls.is_some()).await;
    let plain = Origin::Tcp { address, certificate: None };
    match (request, &shared.tls) {
        (Ok(Request::Encrypt), Some(tls)) => serve_encrypted(&shared, tls, stream, &input, address).await,
        (request, _) => {
            let (reader, writer) = stream.split();
            serve_connection(&shared, reader, writer, input, request, plain).await;
        }
    }
}

/// Goes on under TLS with a client that was told that it may.
async fn serve_encrypted(
    shared: &Shared,
    tls: &Tls,
    mut stream: TcpStream,
    input: &BytesMut,
    address: SocketAddr,
) {
    if !input.is_empty() {
        // Somebody may have put it there for us to take as the client's.
        let error = startup::violation("received unencrypted data after SSL request");
        return refuse(shared, &mut stream, &error, None).await;
    }
    let (acceptor, certificate) = tls.acceptor();
    let mut stream = match tokio::time::timeout(STARTUP_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            shared.statistics.refused();
            tracing::debug!(event = "tls_failed", %error, "a client could not agree on TLS");
            return;
        }
        Err(_) => return shared.statistics.refused(),
    };
    let mut input = BytesMut::with_capacity(1024);
    let request = first_request(shared, &mut stream, &mut input, false).await;
    let origin = Origin::Tcp { address, certificate: Some(certificate) };
    let (reader, writer) = tokio::io::split(stream);
    serve_connection(shared, reader, writer, input, request, origin).await;
}

async fn serve_socket(shared: Arc<Shared>, mut stream: UnixStream) {
    let peer = stream.peer_cred().map(|credentials| credentials.uid());
    let mut input = BytesMut::with_capacity(1024);
    let request = first_request(&shared, &mut stream, &mut input, false).await;
    let (reader, writer) = stream.split();
    serve_connection(&shared, reader, writer, input, request, Origin::Socket(peer)).await;
}

/// What a client's first packets ask for.
async fn first_request(
    shared: &Shared,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    input: &mut BytesMut,
    offers_tls: bool,
) -> tuplix_types::Result<Request> {
    let mut shutdown = shared.shutdown.clone();
    let request = connection::within(STARTUP_TIMEOUT, startup::read_request(stream, input, offers_tls));
    tokio::select! {
        request = request => request,
        _ = shutdown.wait_for(|stops| *stops) => Err(connection::administrator_command()),
    }
}

/// From the first packet to the last.
async fn serve_connection(
    shared: &Shared,
    mut reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
    mut input: BytesMut,
    request: tuplix_types::Result<Request>,
    origin: Origin,
) {
    let parameters = match request {
        Ok(Request::Session(parameters)) => parameters,
        Ok(Request::Cancel { id, secret }) => {
            shared.statistics.cancel_request();
            // No answer, whether it was right or wrong: so the protocol wants it.
            shared.node.cancel(id, secret);
            return;
        }
        Ok(Request::Gone | Request::Encrypt) => return,
        Err(error) => return refuse(shared, &mut writer, &error, None).await,
    };
    let visitor = Visitor { user: &parameters.user, address: origin.address() };
    let Ok(permit) = shared.connections.try_acquire() else {
        return refuse(shared, &mut writer, &too_many(), Some(visitor)).await;
    };
    let stream = Stream { reader: &mut reader, writer: &mut writer, input: &mut input };
    let admitted = shared.door.admit(&shared.node, stream, &parameters, &origin);
    let mut shutdown = shared.shutdown.clone();
    let admitted = tokio::select! {
        admitted = connection::within(STARTUP_TIMEOUT, admitted) => admitted,
        _ = shutdown.wait_for(|stops| *stops) => Err(connection::administrator_command()),
    };
    let opened = admitted.and_then(|()| block_in_place(|| open(shared, &parameters)));
    match opened {
        Ok((protocol, greeting, _running)) => {
            let _open = shared.statistics.opened();
            connection::serve(reader, writer, protocol, input, greeting, shutdown).await;
            drop(permit);
        }
        Err(error) => {
            // Whoever hears of the refusal may come again at once.
            drop(permit);
            refuse(shared, &mut writer, &error, Some(visitor)).await;
        }
    }
}

/// The session of somebody who has been let in.
fn open<'s>(
    shared: &'s Shared,
    parameters: &Parameters,
) -> tuplix_types::Result<(Protocol, BytesMut, Registered<'s>)> {
    let session = startup::open_session(&shared.node, parameters)?;
    let scarce = shared.connections.available_permits() < shared.connections_reserved;
    if scarce && session.setting("is_superuser").as_deref() != Some("on") {
        let message = "remaining connection slots are reserved for non-replication superuser connections";
        return Err(SqlError::new(sqlstate::TOO_MANY_CONNECTIONS, message).severity(Severity::Fatal));
    }
    let greeting = startup::greeting(&session, parameters)?;
    let running = shared.running.register(session.id(), session.secret());
    Ok((Protocol::new(session, Arc::clone(&shared.statistics))?, greeting, running))
}

fn too_many() -> SqlError {
    SqlError::new(sqlstate::TOO_MANY_CONNECTIONS, "sorry, too many clients already").severity(Severity::Fatal)
}

/// Somebody at the door, as refusals are remembered.
struct Visitor<'a> {
    user: &'a str,
    address: Option<String>,
}

async fn refuse(
    shared: &Shared,
    writer: &mut (impl AsyncWrite + Unpin),
    error: &SqlError,
    visitor: Option<Visitor<'_>>,
) {
    let gone = error.sqlstate() == sqlstate::CONNECTION_FAILURE;
    shared.statistics.refused();
    shared.statistics.error(error.sqlstate().as_str());
    if let Some(Visitor { user, address }) = visitor.filter(|_| !gone) {
        tracing::info!(event = "login_refused", user, address, sqlstate = %error.sqlstate(), "a login was refused");
        shared.node.refuse("login", user, address, error);
    }
    let message = startup::error_message(error);
    let sent = async {
        writer.write_all(&message).await?;
        writer.shutdown().await
    };
    if let Err(error) = sent.await {
        tracing::debug!(event = "client_left", %error, "the client left before it was refused");
    }
}

/// Random bytes that only this server knows.
fn secret() -> [u8; 32] {
    let mut secret = [0; 32];
    tuplix::Machine::linux().random_bytes(&mut secret);
    secret
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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
