//! The admin listener: from a request to a command and back.

use crate::support::client::Client;
use crate::support::rig::Rig;

async fn connect(rig: &Rig) -> Client {
    Client::tls13(rig.admin, &rig.pki, Some(&rig.pki.client), "localhost").await.unwrap()
}

#[tokio::test]
async fn requests_become_commands() {
    let rig = Rig::new();
    let mut client = connect(&rig).await;
    let reply = client.get("/admin/v1/status").await;
    assert_eq!((reply.status, reply.json()["state"].as_str()), (200, Some("operational")));
    assert_eq!(client.ask("POST /admin/v1/holders/u-17/disable", "", b"").await.status, 200);
    let new = r#"{"holder_id":"u-18","display_name":"医師"}"#;
    assert_eq!(client.post_json("/admin/v1/holders", new).await.status, 200);
    let asked = rig.keeper.asked.lock().unwrap().join("\n");
    assert!(asked.contains("HolderDisable { holder_id: \"u-17\", reason: None }"), "{asked}");
    assert!(asked.contains("u-18"), "{asked}");
}

#[tokio::test]
async fn requests_that_are_no_commands_never_reach_the_keeper() {
    let rig = Rig::new();
    let mut client = connect(&rig).await;
    for (path, status) in [
        ("/admin/v1/nothing", 404),
        ("/admin/v1", 404),
        ("/admin/v1/", 404),
        ("/admin/v2/status", 404),
        ("/admin/v1/holders/%2e%2e/disable", 404),
        ("/admin/v1/status?x=1", 400),
        ("/v1/info", 404),
        ("/metrics", 404),
    ] {
        assert_eq!(client.get(path).await.status, status, "{path}");
    }
    for body in [
        r#"{"holder_id":"u-1","holder_id":"u-2","display_name":"A"}"#,
        r#"{"holder_id":"u-1","display_name":"A","n":1e999}"#,
        &format!(r#"{{"{}":1}}"#, "x".repeat(10_000)),
    ] {
        let reply = client.post_json("/admin/v1/holders", body).await;
        assert_eq!(reply.code(), "malformed_request", "{body}");
        assert!(reply.json()["detail"].as_str().unwrap().len() < 300, "a complaint is short");
    }
    let reply = client.ask("DELETE /admin/v1/holders", "", b"").await;
    assert_eq!((reply.status, reply.header("allow")), (405, "GET, POST"));
    let twice = r#"{"holder_id":"u","holder_id":"v","display_name":"x"}"#;
    assert_eq!(client.post_json("/admin/v1/holders", twice).await.code(), "malformed_request");
    let form = client.ask("POST /admin/v1/holders", "Content-Type: text/plain\r\n", b"{}").await;
    assert_eq!(form.code(), "unsupported_media_type");
    let big = format!("{{}}{}", " ".repeat(1024 * 1024));
    assert_eq!(client.post_json("/admin/v1/holders", &big).await.code(), "body_too_large");
    assert!(rig.keeper.asked.lock().unwrap().is_empty());
}
