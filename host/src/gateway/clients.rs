//! How many connections each client has: none may have so many that nothing is left for the others.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::access_log::AccessLog;

/// How far the log's lines of refused connections are apart at least.
const LINES_APART: Duration = Duration::from_secs(10);

/// The clients that are connected.
pub(super) struct Clients {
    most: usize,
    log: AccessLog,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connections: HashMap<IpAddr, usize>,
    refused: u64,
    last_line: Option<Instant>,
}

impl Clients {
    /// Each client may have `most` connections.
    pub(super) fn new(most: usize, log: AccessLog) -> Arc<Self> {
        Arc::new(Self { most, log, state: Mutex::default() })
    }

    /// A connection of this client until what is returned is dropped; none if it has too many.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Connected> {
        let client = client(address);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let connections = state.connections.entry(client).or_default();
        if *connections < self.most {
            *connections += 1;
            return Some(Connected { clients: self.clone(), client });
        }
        state.refused = state.refused.saturating_add(1);
        let refused = state.refused;
        if state.last_line.is_none_or(|last| last.elapsed() >= LINES_APART) {
            state.last_line = Some(Instant::now());
            drop(state);
            let most = self.most;
            (self.log)(&format!(
                "refused a connection of {client}, which has {most} already, the most that one \
                 client may have (refused so far: {refused})"
            ));
        }
        None
    }
}

/// A client's connection.
pub(super) struct Connected {
    clients: Arc<Clients>,
    client: IpAddr,
}

impl Drop for Connected {
    fn drop(&mut self) {
        let mut state = self.clients.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connections) = state.connections.get_mut(&self.client) {
            *connections = connections.saturating_sub(1);
            if *connections == 0 {
                state.connections.remove(&self.client);
            }
        }
    }
}

/// Whom an address stands for: with IPv6 the /64, which is what one host is given at least.
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_so_many_and_no_more() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = lines.clone();
        let log: AccessLog = Arc::new(move |line| sink.lock().unwrap().push(line.to_owned()));
        let clients = Clients::new(2, log);
        let enter = |address: &str| clients.enter(address.parse().unwrap());
        let first = enter("192.0.2.1").unwrap();
        let _mapped = enter("::ffff:192.0.2.1").unwrap();
        assert!(enter("192.0.2.1").is_none() && enter("::ffff:192.0.2.1").is_none());
        let _other = enter("192.0.2.2").unwrap();
        let network = [enter("2001:db8::1").unwrap(), enter("2001:db8::ffff:2").unwrap()];
        assert!(enter("2001:db8::3").is_none());
        let _next = enter("2001:db8:0:1::3").unwrap();
        drop(first);
        assert!(enter("192.0.2.1").is_some());
        drop(network);
        assert!(enter("2001:db8::3").is_some());

        let lines = lines.lock().unwrap();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("192.0.2.1, which has 2 already"), "{lines:?}");
    }

    #[test]
    fn who_has_gone_is_forgotten() {
        let clients = Clients::new(1, Arc::new(|_| {}));
        drop(clients.enter("192.0.2.1".parse().unwrap()));
        assert!(clients.state.lock().unwrap().connections.is_empty());
    }
}
