//! The portal: its pages, its cookie, what it refuses.

use crate::support::client::Client;
use crate::support::rig::Rig;

#[tokio::test]
async fn portal_speaks_tls13_and_both_versions_of_http_to_anybody_and_only_under_its_name() {
    let rig = Rig::new();
    let reply = rig.connect_portal().await.get("/").await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(Client::tls12(rig.portal, &rig.pki, None, "localhost").await.is_err());
    let mut client = Client::tls13(rig.portal, &rig.pki, None, "other.example").await.unwrap();
    client.send("GET / HTTP/1.1\r\nHost: other.example\r\n\r\n").await.unwrap();
    assert_eq!(client.reply().await.unwrap().status, 421);
    let http2 = ["--http2", "--write-out", "%{http_version}"];
    let said = crate::support::tools::curl(&rig.pki, None, rig.portal, "/", &http2).await;
    let said = crate::support::tools::text(&said);
    assert!(said.starts_with("HTTP/2 200") && said.ends_with('2'), "{said}");
}

#[tokio::test]
async fn index_leads_to_the_card_listener_in_both_languages() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    let page = client.get("/").await.text();
    let entry = "HPKI カードを使ってスマートフォンを登録する / スマートフォンを変更する";
    assert!(page.contains(entry), "{page}");
    assert!(page.contains("<html lang=\"ja\">") && page.contains("href=\"/?lang=en\""));
    assert!(page.contains("href=\"https://localhost:8444/enrol\""));
    assert!(client.get("/?lang=en").await.text().contains("Register a phone"));
    assert_eq!(client.get("/?lang=en&x=1").await.status, 400);
}
