//! H3, H4: HTTP/2 frames that cost the sender little. Each ends in bounded time, and a healthy client is served beside it.

use crate::support::client::Client;
use crate::support::client::PATIENCE;
use crate::support::client::client_config;
use crate::support::keeper::TOKEN;
use crate::support::rig::Rig;
use crate::support::rig::signing;
use rustls::version::TLS13;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;
use tokio::time::timeout;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [head.as_slice(), payload].concat()
}

/// HPACK: a request of static names, its path and fields as literals.
fn request(method: u8, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let mut block = vec![method, 0x87];
    block.extend([&[0x04], text(path).as_slice()].concat());
    block.extend([&[0x01], text("localhost").as_slice()].concat());
    for (name, value) in fields {
        block.extend([&[0x00], text(name).as_slice(), &text(value)].concat());
    }
    block
}

async fn connect(rig: &Rig) -> Client {
    let mut config = client_config(&rig.pki, Some(&rig.pki.client), &[&TLS13]);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let mut client = Client::tls(rig.signing, config, "localhost").await.unwrap();
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    client.send(frame(SETTINGS, 0, 0, &[])).await.unwrap();
    client
}

/// Sends until the front hangs up or `limit` pieces are sent, reading nothing; true when it hung up.
async fn flood(client: &mut Client, limit: usize, mut piece: impl FnMut(u32) -> Vec<u8>) -> bool {
    let sending = async {
        for number in 0..limit {
            let piece = piece(u32::try_from(number).unwrap());
            if client.send(piece).await.is_err() {
                return true;
            }
        }
        false
    };
    timeout(PATIENCE, sending).await.unwrap_or(true)
}

async fn healthy_client_is_served(rig: &Rig) {
    let started = Instant::now();
    assert_eq!(rig.connect().await.get("/v1/info").await.status, 200);
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test]
async fn h3_rapid_reset_ends_the_connection() {
    let rig = Rig::new();
    rig.keeper.slow_ms.store(100, Ordering::Relaxed);
    let mut client = connect(&rig).await;
    let info = request(0x82, "/v1/info", &[]);
    let hung_up = flood(&mut client, 20_000, |number| {
        let stream = 2 * number + 1;
        let open = frame(HEADERS, END_STREAM | END_HEADERS, stream, &info);
        [open, frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
    });
    assert!(hung_up.await);
    rig.keeper.slow_ms.store(0, Ordering::Relaxed);
    healthy_client_is_served(&rig).await;
}

#[tokio::test]
async fn h3_head_without_end_ends_the_connection() {
    let rig = Rig::new();
    let mut client = connect(&rig).await;
    let info = request(0x82, "/v1/info", &[]);
    client.send(frame(HEADERS, END_STREAM, 1, &info)).await.unwrap();
    let field = request(0x82, "/", &[("x", &"y".repeat(100))]).split_off(16);
    let hung_up = flood(&mut client, 100_000, |_| frame(CONTINUATION, 0, 1, &field));
    assert!(hung_up.await);
    healthy_client_is_served(&rig).await;
}

#[tokio::test]
async fn h3_pings_and_settings_that_nobody_answers_for_end_the_connection() {
    let rig = Rig::with(|config, _| signing(config).limits.write_seconds = 1);
    for (kind, payload) in [(PING, vec![0; 8]), (SETTINGS, vec![])] {
        let mut client = connect(&rig).await;
        let pieces = frame(kind, 0, 0, &payload).repeat(1_000);
        assert!(flood(&mut client, 20_000, |_| pieces.clone()).await, "frames of kind {kind}");
    }
    healthy_client_is_served(&rig).await;
}

#[tokio::test]
async fn h3_empty_data_does_not_keep_a_body_alive() {
    let rig = Rig::with(|config, _| signing(config).limits.body_pause_seconds = 1);
    let mut client = connect(&rig).await;
    let sign = request(0x83, "/v1/sign", &[("signing-session", TOKEN)]);
    client.send(frame(HEADERS, END_HEADERS, 1, &sign)).await.unwrap();
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(3) {
        if client.send(frame(DATA, 0, 1, &[]).repeat(10)).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let metrics = rig.metrics_text().await;
    let at_work = "inkan_http_requests_in_flight{listener=\"signing\"} 0";
    assert!(metrics.contains(at_work), "{metrics}");
    assert_eq!(rig.keeper.heads.lock().unwrap().len(), 1, "the request was under way");
    assert_eq!(rig.keeper.signed.load(Ordering::SeqCst), 0);
}

/// A window of 0 octets: the socket is read, the answer is not.
#[tokio::test]
async fn h5_answer_that_no_window_is_opened_for_ends_the_connection() {
    let rig = Rig::with(|config, _| signing(config).limits.write_seconds = 1);
    let mut client = connect(&rig).await;
    client.send(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])).await.unwrap();
    let info = request(0x82, "/v1/info", &[]);
    client.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, &info)).await.unwrap();
    assert!(client.ends_within(Duration::from_secs(4)).await);
    assert!(rig.keeper.was_asked("info"));
    let mut client = connect(&rig).await;
    client.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, &info)).await.unwrap();
    assert!(!client.ends_within(Duration::from_secs(3)).await, "an answer that was read is over");
}

/// One field of 4 kB goes into the table of names, then a head refers to it again and again.
#[tokio::test]
async fn h4_head_that_unpacks_to_much_is_refused() {
    let rig = Rig::new();
    let mut client = connect(&rig).await;
    let mut bomb = request(0x82, "/v1/info", &[]);
    let big = "b".repeat(3_900);
    bomb.extend([0x40, 1, b'x']);
    bomb.extend([0x7f, 0xbd, 0x1d]);
    bomb.extend(big.as_bytes());
    bomb.extend(std::iter::repeat_n(0xbe, 10_000));
    client.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, &bomb)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!rig.keeper.was_asked("info"), "the head was not believed");
    healthy_client_is_served(&rig).await;
}
