//! The API port: each connection's requests one after the other, with the faults that were ordered for them.

use std::sync::Arc;
use std::time::Duration;

use rand::Rng as _;
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::claim::Request;
use crate::clock::{Millis, http_date};
use crate::faults::{Fault, When};
use crate::http::{Connection, Incoming, ReadError};
use crate::log::Entry;
use crate::reply::{Format, Refusal, Reply};
use crate::sign::Params;
use crate::state::{Shared, State, Ticket, Verdict, Work};
use crate::switches::{CountAt, Excess};

/// How an exchange ends.
enum Ending {
    Reply(Reply),
    Torn(Reply),
    Reset,
    Close,
    Drop,
    /// The effect comes so many milliseconds after the client left.
    LateEffect(u64),
}

/// What the steps of one exchange have in common.
struct Exchange<'a> {
    shared: &'a Shared,
    entry: Entry,
    request_id: String,
    format: Format,
    params: &'a Params,
}

/// Serves for ever.
pub async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Without it each small reply could wait for an acknowledgement.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY could not be set");
                }
                tokio::spawn(converse(
                    Connection::new(stream, peer.port()),
                    Arc::clone(&shared),
                ));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn converse(mut connection: Connection, shared: Arc<Shared>) {
    loop {
        let Incoming {
            request,
            keep_alive,
        } = match connection.read().await {
            Ok(incoming) => incoming,
            Err(ReadError::Gone | ReadError::Io(_)) => return,
            Err(error @ ReadError::Malformed(_)) => {
                return connection.refuse(&error.to_string()).await;
            }
        };
        match exchange(connection, &shared, &request, keep_alive).await {
            Some(kept) => connection = kept,
            None => return,
        }
    }
}

/// One exchange; gives the connection back where it can serve another.
async fn exchange(
    connection: Connection,
    shared: &Shared,
    request: &Request,
    keep_alive: bool,
) -> Option<Connection> {
    let none = Params::new();
    let Ticket {
        entry,
        request_id,
        format,
        latency,
        verdict,
    } = shared.lock().arrive(request, connection.port);
    let params = request.params.as_ref().unwrap_or(&none);
    let exchange = Exchange {
        shared,
        entry,
        request_id,
        format,
        params,
    };
    match verdict {
        Verdict::Refused(refusal) => {
            pause(latency).await;
            let ending = Ending::Reply(exchange.refusal(&refusal));
            exchange.end(connection, ending, None, keep_alive).await
        }
        Verdict::Excess => {
            pause(latency).await;
            let ending = exchange.excess();
            exchange.end(connection, ending, None, keep_alive).await
        }
        Verdict::Work(work) => {
            let ending = exchange.work(&work, latency).await;
            exchange
                .end(connection, ending, Some(&work), keep_alive)
                .await
        }
    }
}

async fn pause(millis: u64) {
    if millis > 0 {
        sleep(Duration::from_millis(millis)).await;
    }
}

impl Exchange<'_> {
    /// From arrival to the point where the answer is known.
    async fn work(&self, work: &Work, latency: u64) -> Ending {
        let before = match work.fault {
            Some(Fault::Slow {
                when: When::Before,
                millis,
            }) => latency.saturating_add(millis),
            _ => latency,
        };
        let counted_after = match work.count_at {
            CountAt::Arrival => None,
            CountAt::Reply => Some(before),
            CountAt::Random => Some(rand::rng().random_range(0..=before)),
        };
        pause(counted_after.unwrap_or(before)).await;
        if let Some(counted_after) = counted_after {
            if !self.shared.lock().count(self.entry, &work.caller) {
                return self.excess();
            }
            pause(before - counted_after).await;
        }
        let ending = self.meet(work);
        if let Some(Fault::Slow {
            when: When::After,
            millis,
        }) = work.fault
        {
            pause(millis).await;
        }
        ending
    }

    /// The effect, and what the fault makes of the answer.
    fn meet(&self, work: &Work) -> Ending {
        let usual = |when: When| match when {
            When::Before => State::hollow_success(&self.request_id, self.format),
            When::After => self.perform(work, None),
        };
        let instead = |when: When, content_type: &str, body: &str| {
            usual(when);
            Ending::Reply(Reply {
                status: 200,
                code: None,
                headers: Vec::new(),
                content_type: content_type.to_owned(),
                body: body.as_bytes().to_vec(),
            })
        };
        let Some(fault) = &work.fault else {
            return Ending::Reply(self.perform(work, None));
        };
        match fault {
            Fault::Slow { .. } => Ending::Reply(self.perform(work, None)),
            Fault::LateStop { seconds } => {
                Ending::Reply(self.perform(work, Some(Millis::from(*seconds) * 1000)))
            }
            Fault::LateEffect { millis } => Ending::LateEffect(*millis),
            Fault::Torn { when } => Ending::Torn(usual(*when)),
            Fault::Reset { when } => {
                usual(*when);
                Ending::Reset
            }
            Fault::Close { when } => {
                usual(*when);
                Ending::Close
            }
            Fault::Drop { when } => {
                usual(*when);
                Ending::Drop
            }
            Fault::EmptyReply { when } => instead(*when, "application/json;charset=utf-8", ""),
            Fault::ForeignReply { when } => instead(
                *when,
                "text/html",
                "<html><body><h1>Welcome to the corporate network</h1></body></html>",
            ),
            Fault::WrongJson { when } => instead(
                *when,
                "application/json;charset=utf-8",
                r#"{"status":"ok"}"#,
            ),
            Fault::Error {
                when,
                status,
                code,
                message,
                headers,
                content_type,
                body,
            } => {
                usual(*when);
                let refusal = Refusal::new(*status, code, message.as_deref().unwrap_or(code));
                let mut reply = self.refusal(&refusal);
                reply.headers.extend(
                    headers
                        .iter()
                        .map(|(name, value)| (name.clone(), value.clone())),
                );
                if let Some(content_type) = content_type {
                    reply.content_type.clone_from(content_type);
                }
                if let Some(body) = body {
                    reply.body = body.clone().into_bytes();
                    reply.code = None;
                }
                Ending::Reply(reply)
            }
        }
    }

    fn perform(&self, work: &Work, stop_after: Option<Millis>) -> Reply {
        let mut state = self.shared.lock();
        state.perform(
            self.entry,
            &self.request_id,
            self.format,
            &work.caller,
            self.params,
            stop_after,
        )
    }

    fn refusal(&self, refusal: &Refusal) -> Reply {
        Reply::refusal(self.format, &self.request_id, refusal)
    }

    fn excess(&self) -> Ending {
        let (excess, refusal) = self.shared.lock().excess();
        match excess {
            Excess::Throttling400 | Excess::Throttling429 | Excess::Throttling503 => {
                Ending::Reply(self.refusal(&refusal))
            }
            Excess::Close => Ending::Close,
            Excess::Drop => Ending::Drop,
        }
    }

    /// From the known answer to the end of the exchange.
    async fn end(
        &self,
        mut connection: Connection,
        ending: Ending,
        work: Option<&Work>,
        keep_alive: bool,
    ) -> Option<Connection> {
        match ending {
            Ending::Reply(reply) => {
                let date = self.log_reply(&mut connection, &reply);
                let sent = connection
                    .send(&reply, &date, &self.request_id, keep_alive, false)
                    .await;
                (keep_alive && sent.is_ok()).then_some(connection)
            }
            Ending::Torn(reply) => {
                let date = self.log_reply(&mut connection, &reply);
                // Whether the half arrives is of no account.
                let _ = connection
                    .send(&reply, &date, &self.request_id, false, true)
                    .await;
                None
            }
            Ending::Reset => {
                self.log_end();
                connection.reset();
                None
            }
            Ending::Close => {
                self.log_end();
                None
            }
            Ending::Drop => {
                connection.client_gone().await;
                self.log_end();
                None
            }
            Ending::LateEffect(millis) => {
                connection.client_gone().await;
                self.log_end();
                drop(connection);
                pause(millis).await;
                if let Some(work) = work {
                    self.perform(work, None);
                }
                None
            }
        }
    }

    /// Completes the log before the client can have the reply, and gives the simulated date for it.
    fn log_reply(&self, connection: &mut Connection, reply: &Reply) -> String {
        let present = connection.client_present();
        let mut state = self.shared.lock();
        let now = state.now();
        state.log.write(self.entry, |call| {
            call.reply_us = Some(now.monotonic);
            call.end_us = Some(now.monotonic);
            call.status = Some(reply.status);
            call.code.clone_from(&reply.code);
            call.client_present = Some(present);
        });
        drop(state);
        self.shared.ended.notify_waiters();
        http_date(now.simulated)
    }

    fn log_end(&self) {
        let mut state = self.shared.lock();
        let now = state.now();
        state
            .log
            .write(self.entry, |call| call.end_us = Some(now.monotonic));
        drop(state);
        self.shared.ended.notify_waiters();
    }
}
