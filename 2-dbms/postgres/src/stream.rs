//! Bytes to and from a server: a local socket, TCP, or TLS over TCP.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rustls::{ClientConnection, StreamOwned};
use tuplix_types::{Result, SqlError, sqlstate};

use crate::tls::{self, SslMode, Tls};

/// Bytes to and from a server.
#[derive(Debug)]
pub struct Stream(Kind);

#[derive(Debug)]
enum Kind {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

fn unreachable(place: impl std::fmt::Display, why: impl std::fmt::Display) -> SqlError {
    let message = format!("could not connect to the PostgreSQL server at {place}: {why}");
    SqlError::new(sqlstate::CONNECTION_FAILURE, message)
}

impl Stream {
    /// Connects over TCP. `address` is a number that spares looking the name up.
    pub(crate) fn tcp(
        host: &str,
        address: Option<String>,
        port: u16,
        tls: &Tls,
        timeout: Duration,
    ) -> Result<Stream> {
        let place = format!("{host}:{port}");
        let failed = |why: io::Error| unreachable(&place, why);
        let addresses = (address.as_deref().unwrap_or(host), port)
            .to_socket_addrs()
            .map_err(|why| tls::refused(format!("the host \"{host}\" is not known: {why}")))?;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in addresses {
            match TcpStream::connect_timeout(&address, timeout) {
                Ok(stream) => {
                    stream.set_nodelay(true).map_err(failed)?;
                    stream.set_read_timeout(Some(timeout)).map_err(failed)?;
                    let stream = offer(stream, host, &place, tls)?;
                    stream.set_read_timeout(None).map_err(failed)?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(failed(last))
    }

    /// Connects to the socket of the server with this port in a folder.
    pub(crate) fn unix(folder: &Path, port: u16) -> Result<Stream> {
        let path = folder.join(format!(".s.PGSQL.{port}"));
        let stream = UnixStream::connect(&path).map_err(|error| unreachable(path.display(), error))?;
        Ok(Stream(Kind::Unix(stream)))
    }

    pub(crate) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match &self.0 {
            Kind::Tcp(stream) => stream.set_read_timeout(timeout),
            Kind::Unix(stream) => stream.set_read_timeout(timeout),
            Kind::Tls(stream) => stream.sock.set_read_timeout(timeout),
        }
    }

    /// The hash of the server's certificate, to which passwords are bound.
    pub(crate) fn end_point(&self) -> Option<Vec<u8>> {
        match &self.0 {
            Kind::Tls(stream) => tls::end_point(&stream.conn),
            Kind::Tcp(_) | Kind::Unix(_) => None,
        }
    }

    /// Whether bytes have been received that the socket no longer tells of.
    ///
    /// # Errors
    /// When what was received is no TLS.
    pub fn has_received(&mut self) -> io::Result<bool> {
        match &mut self.0 {
            Kind::Tls(stream) => {
                let state = stream.conn.process_new_packets().map_err(io::Error::other)?;
                Ok(state.plaintext_bytes_to_read() > 0)
            }
            Kind::Tcp(_) | Kind::Unix(_) => Ok(false),
        }
    }

    /// The version of TLS, on an encrypted connection: `TLSv1.3`.
    pub fn encryption(&self) -> Option<String> {
        match &self.0 {
            Kind::Tls(stream) => {
                stream.conn.protocol_version().map(|version| format!("{version:?}").replace('_', "."))
            }
            Kind::Tcp(_) | Kind::Unix(_) => None,
        }
    }
}

/// Asks the server for TLS as far as the address wants it.
fn offer(mut stream: TcpStream, host: &str, place: &str, tls: &Tls) -> Result<Stream> {
    if tls.mode == SslMode::Disable {
        return Ok(Stream(Kind::Tcp(stream)));
    }
    let failed = |why: io::Error| unreachable(place, why);
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    stream.write_all(&request).map_err(failed)?;
    let mut answer = [0];
    stream.read_exact(&mut answer).map_err(failed)?;
    match answer[0] {
        b'S' => Ok(Stream(Kind::Tls(Box::new(tls.encrypt(stream, host)?)))),
        b'N' if tls.mode == SslMode::Prefer => Ok(Stream(Kind::Tcp(stream))),
        b'N' => Err(tls::refused(format!("the server at {place} offers no TLS, and sslmode asks for it"))
            .hint("Start the node with --tls, or connect by its local socket or with sslmode=prefer.")),
        // An error in the place of the answer.
        b'E' => Err(unreachable(place, "it takes no connections now")),
        _ => Err(unreachable(place, "it does not speak PostgreSQL's protocol")),
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Tcp(stream) => stream.read(buffer),
            Kind::Unix(stream) => stream.read(buffer),
            Kind::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Tcp(stream) => stream.write(bytes),
            Kind::Unix(stream) => stream.write(bytes),
            Kind::Tls(stream) => stream.write(bytes),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.0 {
            Kind::Tcp(stream) => stream.write_all(bytes),
            Kind::Unix(stream) => stream.write_all(bytes),
            // Its own would keep the last part of it.
            Kind::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Kind::Tcp(stream) => stream.flush(),
            Kind::Unix(stream) => stream.flush(),
            Kind::Tls(stream) => stream.flush(),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            Kind::Tcp(stream) => stream.as_fd(),
            Kind::Unix(stream) => stream.as_fd(),
            Kind::Tls(stream) => stream.sock.as_fd(),
        }
    }
}
