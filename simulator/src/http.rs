//! HTTP/1.1 on a plain socket: replies can be torn, cut and withheld here, which no server library allows.

use std::fmt::Write as _;
use std::io;

use axum::http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::claim::Request;
use crate::reply::Reply;
use crate::sign::v3::Headers;
use crate::sign::{Params, merge};

/// A head longer than this is refused: four ingest addresses and a layout fit many times.
const LONGEST_HEAD: usize = 256 * 1024;
/// A body longer than this is refused.
const LONGEST_BODY: usize = 1024 * 1024;
const HEADERS: usize = 64;

/// Why no request could be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The client left.
    #[error("the client left")]
    Gone,
    /// The socket failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// Not HTTP as we know it.
    #[error("the request cannot be read: {0}")]
    Malformed(&'static str),
}

/// A request, and whether the connection may serve another.
#[derive(Debug)]
pub struct Incoming {
    /// The request.
    pub request: Request,
    /// The client keeps the connection.
    pub keep_alive: bool,
}

/// One client.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// The client's port.
    pub port: u16,
}

/// What the head of a request says.
struct Head {
    length: usize,
    method: String,
    target: String,
    body: usize,
    form: bool,
    keep_alive: bool,
    expects_continue: bool,
    headers: Headers,
}

impl Connection {
    /// Serves a socket.
    pub fn new(stream: TcpStream, port: u16) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            port,
        }
    }

    /// Reads the next request.
    pub async fn read(&mut self) -> Result<Incoming, ReadError> {
        let head = loop {
            if let Some(head) = parse(&self.buffer)? {
                break head;
            }
            if self.buffer.len() > LONGEST_HEAD {
                return Err(ReadError::Malformed("its head is too long"));
            }
            self.fill().await?;
        };
        if head.expects_continue {
            self.stream
                .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
                .await?;
        }
        while self.buffer.len() < head.length + head.body {
            self.fill().await?;
        }
        let rest = self.buffer.split_off(head.length + head.body);
        let request = std::mem::replace(&mut self.buffer, rest);

        let (path, query) = head.target.split_once('?').unwrap_or((&head.target, ""));
        let body = &request[head.length..];
        let form = if head.form { body } else { &[] };
        let mut query_alone = Params::new();
        let mut fine = merge(&mut query_alone, query);
        let mut params = query_alone.clone();
        fine &= std::str::from_utf8(form).is_ok_and(|form| merge(&mut params, form.trim_end()));
        let serves_more = head.keep_alive && matches!(head.method.as_str(), "GET" | "POST");
        let path = path.to_owned();
        Ok(Incoming {
            request: Request {
                method: head.method,
                path,
                params: fine.then_some(params),
                query: query_alone,
                headers: head.headers,
                body: body.to_vec(),
            },
            keep_alive: serves_more,
        })
    }

    async fn fill(&mut self) -> Result<(), ReadError> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(ReadError::Gone),
            _ => Ok(()),
        }
    }

    /// Whether the client is still there, as far as the socket knows.
    pub fn client_present(&mut self) -> bool {
        match self.stream.try_read_buf(&mut self.buffer) {
            Ok(read) => read > 0,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }

    /// Waits until the client leaves.
    pub async fn client_gone(&mut self) {
        loop {
            // What a client sends now will never be answered.
            let mut sink = [0; 1024];
            match self.stream.read(&mut sink).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }

    /// Sends a reply; `torn`: only half of its body.
    pub async fn send(
        &mut self,
        reply: &Reply,
        date: &str,
        request_id: &str,
        keep_alive: bool,
        torn: bool,
    ) -> io::Result<()> {
        let status =
            StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut head = String::with_capacity(256 + reply.body.len());
        // Writing to a String cannot fail.
        let _ = write!(
            head,
            "HTTP/1.1 {} {}\r\nDate: {date}\r\nContent-Type: {}\r\nContent-Length: {}\r\nx-acs-request-id: {request_id}\r\nConnection: {}\r\n",
            status.as_u16(),
            status.canonical_reason().unwrap_or("Unknown"),
            reply.content_type,
            reply.body.len(),
            if keep_alive { "keep-alive" } else { "close" },
        );
        for (name, value) in &reply.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        let sent = if torn {
            reply.body.len() / 2
        } else {
            reply.body.len()
        };
        bytes.extend_from_slice(&reply.body[..sent]);
        self.stream.write_all(&bytes).await
    }

    /// Says that a request cannot be read.
    pub async fn refuse(&mut self, why: &str) {
        let head = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n";
        let reply = format!("{head}Content-Length: {}\r\n\r\n{why}", why.len());
        // The client may be gone; there is nobody else to tell.
        let _ = self.stream.write_all(reply.as_bytes()).await;
    }

    /// Ends the connection with a reset instead of a close.
    pub fn reset(self) {
        if let Err(error) = self.stream.set_zero_linger() {
            tracing::warn!(%error, "a connection could not be reset and is closed instead");
        }
    }
}

fn parse(buffer: &[u8]) -> Result<Option<Head>, ReadError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(buffer) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(ReadError::Malformed("it is not HTTP")),
    };
    let (Some(method), Some(target), Some(version)) =
        (request.method, request.path, request.version)
    else {
        return Err(ReadError::Malformed("it is not HTTP"));
    };
    let mut all = Headers::new();
    for header in request.headers.iter() {
        let value = String::from_utf8_lossy(header.value).trim().to_owned();
        all.entry(header.name.to_ascii_lowercase())
            .and_modify(|before| *before = format!("{before},{value}"))
            .or_insert(value);
    }
    let header = |name: &str| all.get(name).map(String::as_str);
    if header("transfer-encoding").is_some() {
        return Err(ReadError::Malformed("a body needs a content-length"));
    }
    let body = match header("content-length") {
        Some(text) => text
            .parse()
            .map_err(|_| ReadError::Malformed("its content-length is not a number"))?,
        None => 0,
    };
    if body > LONGEST_BODY {
        return Err(ReadError::Malformed("its body is too long"));
    }
    let connection = header("connection")
        .unwrap_or_default()
        .to_ascii_lowercase();
    let (form, expects_continue) = (
        header("content-type").is_some_and(|value| {
            value
                .to_ascii_lowercase()
                .starts_with("application/x-www-form-urlencoded")
        }),
        header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")),
    );
    Ok(Some(Head {
        length,
        method: method.to_owned(),
        target: target.to_owned(),
        body,
        form,
        keep_alive: if version == 0 {
            connection == "keep-alive"
        } else {
            connection != "close"
        },
        expects_continue,
        headers: all,
    }))
}
