//! Host rules: who may try to connect from where, and how they have to prove who they are.
//!
//! PostgreSQL's `pg_hba.conf` as catalogue objects. The rule of the lowest number that fits a connection decides; where none
//! fits, nobody comes in. A new catalogue lets the local socket's clients in by their system user, and those of this machine by
//! password.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Catalog, RoleId};

/// A host rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRule {
    /// Its place among the rules.
    pub number: i32,
    /// Which connections it is about.
    pub connections: Connections,
    /// Databases: `all`, `sameuser`, `replication` or names.
    pub databases: Vec<String>,
    /// Roles: `all`, names, or `+name` for the members of a role.
    pub users: Vec<String>,
    /// Where they come from; `None` on the local socket.
    pub address: Option<Network>,
    /// What they have to do.
    pub method: LoginMethod,
}

/// Which connections a host rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Connections {
    /// Those of the local socket.
    Local,
    /// All over TCP.
    Host,
    /// Those over TCP with TLS.
    HostSsl,
    /// Those over TCP without.
    HostNoSsl,
}

/// How a client proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginMethod {
    /// It need not.
    Trust,
    /// It cannot.
    Reject,
    /// With a password, by SCRAM-SHA-256.
    Scram,
    /// The kernel says which user of this machine it is.
    Peer,
}

/// Addresses that a rule fits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// Every address.
    All,
    /// Those that begin as this one.
    Prefix(IpAddr, u8),
}

/// What a host rule is to fit.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The address at the other end; `None` on the local socket.
    pub address: Option<IpAddr>,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// The database it asks for.
    pub database: &'a str,
    /// The role it wants to be.
    pub user: &'a str,
}

impl Connections {
    /// PostgreSQL's word.
    pub fn name(self) -> &'static str {
        match self {
            Connections::Local => "local",
            Connections::Host => "host",
            Connections::HostSsl => "hostssl",
            Connections::HostNoSsl => "hostnossl",
        }
    }

    /// What the word means.
    pub fn parse(text: &str) -> Option<Connections> {
        use Connections::{Host, HostNoSsl, HostSsl, Local};
        [Local, Host, HostSsl, HostNoSsl].into_iter().find(|kind| kind.name() == text)
    }
}

impl LoginMethod {
    /// PostgreSQL's word.
    pub fn name(self) -> &'static str {
        match self {
            LoginMethod::Trust => "trust",
            LoginMethod::Reject => "reject",
            LoginMethod::Scram => "scram-sha-256",
            LoginMethod::Peer => "peer",
        }
    }

    /// What the word means.
    pub fn parse(text: &str) -> Option<LoginMethod> {
        use LoginMethod::{Peer, Reject, Scram, Trust};
        [Trust, Reject, Scram, Peer].into_iter().find(|method| method.name() == text)
    }
}

impl Network {
    /// Reads `all`, an address, or an address and the bits that count: `10.0.0.0/8`. Bits that do not count have to be zero.
    pub fn parse(text: &str) -> Option<Network> {
        if text == "all" {
            return Some(Network::All);
        }
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address.parse().ok()?, Some(bits.parse().ok()?)),
            None => (text.parse().ok()?, None),
        };
        let most = if IpAddr::is_ipv4(&address) { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        let network = Network::Prefix(address, bits);
        (bits <= most && masked(address, bits) == (address.is_ipv4(), number(address))).then_some(network)
    }

    /// Whether an address is one of these.
    pub fn contains(&self, address: IpAddr) -> bool {
        match *self {
            Network::All => true,
            Network::Prefix(network, bits) => masked(address.to_canonical(), bits) == masked(network, bits),
        }
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Network::All => f.write_str("all"),
            Network::Prefix(address, bits) => write!(f, "{address}/{bits}"),
        }
    }
}

/// An address as a number, its highest bit first among 128.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The first bits of an address, and whether it is one of version 4.
fn masked(address: IpAddr, bits: u8) -> (bool, u128) {
    let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
    (address.is_ipv4(), number(address) & mask)
}

impl HostRule {
    /// The rules of a new catalogue.
    pub(crate) fn initial() -> BTreeMap<i32, Arc<HostRule>> {
        let rule = |number, connections, address: Option<&str>, method| HostRule {
            number,
            connections,
            databases: vec!["all".to_owned()],
            users: vec!["all".to_owned()],
            address: address.and_then(Network::parse),
            method,
        };
        let rules = [
            rule(100, Connections::Local, None, LoginMethod::Peer),
            rule(200, Connections::Host, Some("127.0.0.1/32"), LoginMethod::Scram),
            rule(300, Connections::Host, Some("::1/128"), LoginMethod::Scram),
        ];
        rules.into_iter().map(|rule| (rule.number, Arc::new(rule))).collect()
    }

    fn fits(&self, catalog: &Catalog, caller: &Caller<'_>) -> bool {
        let connection = match (self.connections, caller.address) {
            (Connections::Local, None) => true,
            (Connections::Local, Some(_)) | (_, None) => false,
            (Connections::Host, Some(_)) => true,
            (Connections::HostSsl, Some(_)) => caller.tls,
            (Connections::HostNoSsl, Some(_)) => !caller.tls,
        };
        let address = match (&self.address, caller.address) {
            (Some(network), Some(address)) => network.contains(address),
            (_, address) => address.is_none(),
        };
        let database = |name: &String| match name.as_str() {
            "all" => true,
            "sameuser" => caller.database == caller.user,
            name => name == caller.database,
        };
        connection
            && address
            && self.databases.iter().any(database)
            && self.users.iter().any(|name| fits_user(catalog, name, caller.user))
    }
}

fn fits_user(catalog: &Catalog, name: &str, user: &str) -> bool {
    match name.strip_prefix('+') {
        None => name == "all" || name == user,
        Some(group) => {
            let id = |name| catalog.role_named(name).map(|role| role.id);
            let is_member = |(user, group): (RoleId, RoleId)| catalog.is_plain_member_of(user, group);
            id(user).zip(id(group)).is_some_and(is_member)
        }
    }
}

impl Catalog {
    /// All host rules in their order.
    pub fn host_rules(&self) -> impl Iterator<Item = &Arc<HostRule>> {
        self.host_rules.values()
    }

    /// The host rule of this number.
    pub fn host_rule(&self, number: i32) -> Option<&Arc<HostRule>> {
        self.host_rules.get(&number)
    }

    /// The rule that decides about a connection.
    pub fn host_rule_for(&self, caller: &Caller<'_>) -> Option<&Arc<HostRule>> {
        self.host_rules().find(|rule| rule.fits(self, caller))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::CatalogChange;

    fn rule(number: i32, connections: Connections, users: &str, address: &str) -> HostRule {
        HostRule {
            number,
            connections,
            databases: vec!["all".to_owned()],
            users: vec![users.to_owned()],
            address: Some(Network::parse(address).unwrap()),
            method: LoginMethod::Trust,
        }
    }

    #[test]
    fn networks() {
        for good in ["all", "10.0.0.0/8", "0.0.0.0/0", "::1/128", "::/0", "192.168.1.4/32", "fe80::/10"] {
            assert_eq!(Network::parse(good).unwrap().to_string(), good);
        }
        assert_eq!(Network::parse("1.2.3.4").unwrap().to_string(), "1.2.3.4/32");
        for bad in ["", "10.0.0.1/8", "1.2.3.4/33", "::1/129", "ada", "1.2.3", "1.2.3.4/-1"] {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
        let ten = Network::parse("10.0.0.0/8").unwrap();
        let contains = |address: &str| ten.contains(address.parse().unwrap());
        assert!(contains("10.255.0.1") && contains("::ffff:10.1.2.3"));
        assert!(!contains("11.0.0.1") && !contains("a00::1"));
        assert!(!Network::parse("0.0.0.0/0").unwrap().contains("::1".parse().unwrap()));
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let mut catalog = Catalog::new();
        let rules = [
            rule(1, Connections::HostSsl, "ada", "10.0.0.0/8"),
            rule(2, Connections::HostNoSsl, "all", "10.0.0.0/8"),
            rule(3, Connections::Host, "+tuplix", "all"),
        ];
        rules.into_iter().for_each(|rule| catalog.apply(CatalogChange::PutHostRule(rule)));
        let number = |address: Option<&str>, tls, user| {
            let address = address.map(|address| address.parse().unwrap());
            let caller = Caller { address, tls, database: "d", user };
            catalog.host_rule_for(&caller).map(|rule| rule.number)
        };
        assert_eq!(number(Some("10.1.1.1"), true, "ada"), Some(1));
        assert_eq!(number(Some("10.1.1.1"), false, "ada"), Some(2));
        assert_eq!(number(Some("10.1.1.1"), true, "bob"), None);
        assert_eq!(number(Some("8.8.8.8"), false, "tuplix"), Some(3));
        assert_eq!(number(Some("127.0.0.1"), false, "bob"), Some(200));
        assert_eq!(number(None, false, "bob"), Some(100));
    }

    #[test]
    fn rules_come_back_from_an_export() {
        let mut catalog = Catalog::new();
        catalog.apply(CatalogChange::DropHostRule(200));
        catalog.apply(CatalogChange::PutHostRule(rule(7, Connections::HostSsl, "ada", "10.0.0.0/8")));
        let json = serde_json::to_string(&catalog.export(|_| false)).unwrap();
        let back = Catalog::import(&serde_json::from_str(&json).unwrap());
        assert!(back.host_rules().eq(catalog.host_rules()));
    }
}
