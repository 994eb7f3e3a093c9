//! Nothing secret comes through, whatever the service says and the libraries log.

use super::*;

/// The service repeats the request in many ways (dossier 6.3); none of it comes through.
#[tokio::test]
async fn nothing_secret_is_shown_whatever_the_service_repeats() {
    let mut peer = peer([Act::SayAndStay(http(200, "", r#"{"RequestId":"r"}"#))]).await;
    let client = client_to(peer.address, LONG);
    client.stop(&app(), &task()).await.unwrap();
    assert!(!format!("{client:?}").contains(SECRET) && !format!("{client:?}").contains(TOKEN));
    let sample = peer.heads.try_recv().unwrap();
    assert!(sample.contains("&SecurityToken=CAIS%2Babc%2Fdef%3D%3D&"));

    // The peer answers with what it was sent, in the request id and the code too.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client_to(listener.local_addr().unwrap(), LONG);
    let echo = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let signature = parameters(&head)["Signature"].clone();
        let message = format!(
            "wrong: {SECRET} {TOKEN} {signature} {query} sign:POST&%2F&{query} rtmp://push.example.com/KEY?auth_key=KEY http%3A%2F%2Fh%2FKEY",
            query = query(&head)
        );
        let body = serde_json::json!({"Code": TOKEN, "Message": message, "RequestId": signature})
            .to_string();
        stream
            .write_all(http(400, "", &body).as_bytes())
            .await
            .unwrap();
        signature
    };
    let (app, task) = (app(), task());
    let (reply, signature) = tokio::join!(client.stop(&app, &task), echo);
    let shown = format!("{:?}", reply.unwrap_err());
    let encoded = signature
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D");
    for secret in [
        SECRET,
        TOKEN,
        "CAIS%2Babc",
        &signature,
        &encoded,
        "KEY",
        "auth_key",
        "AccessKeyId",
    ] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    assert!(shown.contains("rtmp://push.example.com/…"), "{shown}");
}

/// What the libraries below say at their most talkative.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_log_line_holds_a_secret() {
    for signature in [Signature::V1, Signature::V3] {
        no_log_line_of_a_signed_call_holds_a_secret(signature).await;
    }
}

async fn no_log_line_of_a_signed_call_holds_a_secret(signature: Signature) {
    let log = Log::default();
    let writer = log.clone();
    // With a single dispatcher in the process, a thread that has none would switch off for all threads what it is the first to log.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let answer = ok(r#"{"RequestId":"r-77"}"#);
    let (reply, heads) = signed_stop_meets(signature, answer, LONG).await;
    drop(guard);
    assert!(reply.is_ok());
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("r-77") && log.contains("final-42"), "{log}");
    let sent = match signature {
        Signature::V1 => parameters(&heads[0])["Signature"].clone(),
        Signature::V3 => {
            let authorization = header(&heads[0], "authorization").unwrap();
            authorization.rsplit_once('=').unwrap().1.to_owned()
        }
    };
    for secret in [SECRET, TOKEN, "SecurityToken", "Signature=", &sent] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
    assert!(
        !log.contains(" WARN ") && !log.contains(" INFO ") && !log.contains(" ERROR "),
        "{log}"
    );
}
