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
