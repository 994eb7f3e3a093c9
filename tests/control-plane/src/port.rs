//! Ports that nobody else can take.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

use crate::Error;

/// A free port of 127.0.0.1, held from the choice to the end.
///
/// A port that is merely seen to be free can be gone before it is used, or while its program is being restarted. So we keep
/// a socket bound to it, with `SO_REUSEPORT` and never listening: it gets no connection, the kernel gives the port to nobody else,
/// and a program of the same user that asks for `SO_REUSEPORT` too can still listen there (`socket(7)`).
#[derive(Debug)]
pub struct Port {
    address: SocketAddr,
    _held: TcpSocket,
}

impl Port {
    /// Chooses one.
    ///
    /// # Errors
    /// When there is none.
    pub fn choose() -> Result<Self, Error> {
        let hold = || {
            let socket = TcpSocket::new_v4()?;
            socket.set_reuseport(true)?;
            socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
            Ok(Self {
                address: socket.local_addr()?,
                _held: socket,
            })
        };
        hold().map_err(|source| Error::Io {
            doing: "choose a port of 127.0.0.1".to_owned(),
            source,
        })
    }

    /// 127.0.0.1 with the port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use std::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_held_port_can_be_listened_at_again_and_again_by_those_who_share_and_by_nobody_else()
    {
        let port = Port::choose().unwrap();
        for _ in 0..3 {
            assert!(TcpListener::bind(port.address()).is_err());
            let server = TcpSocket::new_v4().unwrap();
            server.set_reuseport(true).unwrap();
            server.bind(port.address()).unwrap();
            let listener = server.listen(8).unwrap();
            let _client = tokio::net::TcpStream::connect(port.address())
                .await
                .unwrap();
            listener.accept().await.unwrap();
            drop(listener);
            assert!(
                tokio::net::TcpStream::connect(port.address())
                    .await
                    .is_err()
            );
        }
    }

    #[tokio::test]
    async fn no_port_is_chosen_twice() {
        let ports: Vec<_> = (0..500).map(|_| Port::choose().unwrap()).collect();
        let addresses: std::collections::BTreeSet<_> = ports.iter().map(Port::address).collect();
        assert_eq!(addresses.len(), ports.len());
    }
}
