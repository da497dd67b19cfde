//! A node in memory behind a server of the test's own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls};
use tuplix::{Options, Tuplix};
use tuplix_wire::{Server, ServerOptions, Statistics};

/// The roles of tests, whom the server trusts on this machine.
const ROLES: &str = "CREATE ROLE ada SUPERUSER LOGIN; CREATE ROLE postgres SUPERUSER LOGIN;
    SELECT set_host_rule(1, 'host', 'all', 'ada, postgres', '127.0.0.1', 'trust')";

/// A running server; [`TestServer::stop`] drains it.
pub struct TestServer {
    pub node: Tuplix,
    pub address: SocketAddr,
    pub statistics: Arc<Statistics>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl TestServer {
    pub async fn start() -> TestServer {
        TestServer::with(|_| {}).await
    }

    /// Starts with options changed by `change`.
    pub async fn with(change: impl FnOnce(&mut ServerOptions)) -> TestServer {
        let node = Tuplix::open_with(&Options { dir: None, partitions: 2, ..Options::default() }).unwrap();
        node.session(&Default::default()).unwrap().execute(ROLES).unwrap();
        let mut options = ServerOptions {
            tcp: Some("127.0.0.1:0".parse().unwrap()),
            drain_timeout: Duration::from_millis(200),
            ..ServerOptions::default()
        };
        change(&mut options);
        let server = Server::bind(options).await.unwrap();
        let address = server.tcp_address().unwrap();
        let statistics = server.statistics();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(server.serve(node.clone(), async move { drop(stopped.await) }));
        TestServer { node, address, statistics, stop: Some(stop), task }
    }

    /// Executes statements as the bootstrap superuser, in process.
    pub fn execute(&self, sql: &str) {
        self.node.session(&Default::default()).unwrap().execute(sql).unwrap();
    }

    pub fn config(&self) -> Config {
        self.config_of("ada")
    }

    /// By TCP, as somebody.
    pub fn config_of(&self, user: &str) -> Config {
        let mut config = Config::new();
        config.host(self.address.ip().to_string()).port(self.address.port()).user(user).dbname("test");
        config
    }

    /// A driver's connection. Notices and notifications are dropped.
    pub async fn client(&self) -> Client {
        let (client, connection) = self.config().connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// A driver's connection and what the server says out of turn.
    pub async fn listener(&self) -> (Client, tokio::sync::mpsc::UnboundedReceiver<AsyncMessage>) {
        let (client, mut connection) = self.config().connect(NoTls).await.unwrap();
        let (send, receive) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
                if send.send(message).is_err() {
                    break;
                }
            }
        });
        (client, receive)
    }

    /// Tells the server to stop.
    pub fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until it has.
    pub async fn stopped(self) {
        self.task.await.unwrap();
    }
}

/// The SQLSTATE of a driver's error.
pub fn sqlstate(error: &tokio_postgres::Error) -> &str {
    error.code().unwrap().code()
}
