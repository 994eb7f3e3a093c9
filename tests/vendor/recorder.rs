//! A peer that answers every call with a success and keeps what was sent, as it was sent.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A success of every action at once.
const ANSWER: &str = r#"{"RequestId":"R","MPUTasks":[],"Rooms":[],"Total":0,"IsChannelExists":false,"InteractiveUserNumber":0,"LiveUserNumber":0,"Timestamp":1}"#;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Method and path.
    pub line: String,
    /// The query's parameters, decoded.
    pub query: BTreeMap<String, String>,
    /// By their names in lower case.
    pub headers: BTreeMap<String, String>,
}

/// The peer.
pub struct Recorder {
    /// Where it listens.
    pub address: SocketAddr,
    requests: mpsc::UnboundedReceiver<Request>,
}

impl Recorder {
    /// Listens on a free port until the runtime ends.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, sender.clone()));
            }
        });
        Self { address, requests }
    }

    /// The request that has just been answered; that nothing else came is an error too.
    pub fn only(&mut self) -> Result<Request, String> {
        let request = self.requests.try_recv().map_err(|_| "nothing was sent")?;
        match self.requests.try_recv() {
            Ok(more) => Err(format!("more than one request: {more:?}")),
            Err(_) => Ok(request),
        }
    }
}

async fn serve(mut stream: TcpStream, sender: mpsc::UnboundedSender<Request>) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let _ = sender.send(understand(&String::from_utf8(head).unwrap()));
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{ANSWER}",
            ANSWER.len()
        );
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn understand(head: &str) -> Request {
    let mut lines = head.lines();
    let line = lines.next().unwrap();
    let (target, _) = line.rsplit_once(' ').unwrap();
    let (line, query) = target.split_once('?').unwrap();
    let query = reqwest::Url::parse(&format!("http://h/?{query}")).unwrap();
    Request {
        line: line.to_owned(),
        query: query.query_pairs().into_owned().collect(),
        headers: lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect(),
    }
}
