//! What the operator sends, overheard.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::decoded;

/// Passes connections on to the simulator, and keeps what the operator sends.
pub struct Tap {
    pub address: String,
    sent: Arc<Mutex<Vec<u8>>>,
    _tasks: JoinSet<()>,
}

impl Tap {
    pub async fn before(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let sent = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&sent);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&target).await.unwrap();
                connections.spawn(pass_on(client, server, Arc::clone(&kept)));
            }
        });
        Self {
            address,
            sent,
            _tasks: tasks,
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.sent.lock().unwrap()).into_owned()
    }

    /// The signatures that were sent, as parameters or in headers.
    pub fn signatures(&self) -> Vec<String> {
        let text = self.text();
        let mut signatures: Vec<_> = ["&Signature=", "?Signature=", ",Signature="]
            .into_iter()
            .flat_map(|before| text.split(before).skip(1))
            .map(|rest| decoded(rest.split(['&', ' ', '\r']).next().unwrap()))
            .filter(|value| [28, 64].contains(&value.len()))
            .collect();
        signatures.sort();
        signatures.dedup();
        signatures
    }
}

async fn pass_on(client: TcpStream, server: TcpStream, kept: Arc<Mutex<Vec<u8>>>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = async {
        let mut buffer = vec![0; 8192];
        while let Ok(length @ 1..) = from_client.read(&mut buffer).await {
            kept.lock().unwrap().extend(&buffer[..length]);
            if to_server.write_all(&buffer[..length]).await.is_err() {
                break;
            }
        }
        to_server.shutdown().await
    };
    let down = async {
        let copied = tokio::io::copy(&mut from_server, &mut to_client).await;
        to_client.shutdown().await.and(copied.map(drop))
    };
    // How a connection ends is the business of its two ends.
    let _ = tokio::join!(up, down);
}
