//! The harness itself: browsers are apart from each other and from the machine, and leave nothing behind.

use crate::desk::Desk;
use serde_json::Value;
use serde_json::json;
use std::path::Path;
use std::path::PathBuf;
use tests::support::browser::By;
use tests::support::browser::Wanted;

#[tokio::test]
async fn browsers_share_nothing_and_leave_nothing() {
    let Some(desk) = Desk::open("isolation").await else { return };
    let policies = Path::new("/etc/chromium/policies/managed/test.json");
    let (one, two) = (desk.doctor("isolation-one"), desk.doctor("isolation-two"));
    let (one, two) = tokio::join!(one.start(), two.start());
    assert!(!policies.exists(), "a browser's policy is the machine's");
    tokio::join!(one.go(&desk.return_url), two.go(&desk.return_url));
    one.script("document.cookie = 'who=one'", &[]).await;
    assert_eq!(one.cookies().await[0]["value"], "one");
    assert_eq!(two.cookies().await, [] as [Value; 0]);
    one.delete_cookies().await;
    assert_eq!(one.cookies().await, [] as [Value; 0]);

    let elsewhere = format!("{}?elsewhere", desk.return_url);
    one.go(&elsewhere).await;
    one.back().await;
    assert_eq!(one.url().await, desk.return_url);
    one.forward().await;
    assert_eq!(one.url().await, elsewhere);
    one.resize(700, 600).await;
    assert_eq!(one.script("return window.outerWidth", &[]).await, json!(700));

    let namespace = namespace_of_child(one.process_id());
    assert!(processes_in(&namespace) >= 3, "shell, driver, browser");
    drop(one);
    assert_eq!(processes_in(&namespace), 0);
    assert_eq!(two.title().await, "カルテ", "the other goes on");
}

/// Without the test's CA a browser shows its warning: nothing is bypassed.
#[tokio::test]
async fn browser_trusts_the_server_for_its_ca_alone() {
    let Some(desk) = Desk::open("distrust").await else { return };
    let server_ca = &desk.world.pki.strangers.pem;
    let browser = Wanted { server_ca, ..desk.doctor("distrust") }.start().await;
    browser.go(&desk.ask_sign_in().await.login_url).await;
    browser.find(By::Text("ERR_CERT_AUTHORITY_INVALID")).await;
}

fn namespace_of_child(process_id: u32) -> PathBuf {
    let children = format!("/proc/{process_id}/task/{process_id}/children");
    let child = std::fs::read_to_string(children).unwrap();
    std::fs::read_link(format!("/proc/{}/ns/pid", child.trim())).unwrap()
}

fn processes_in(namespace: &Path) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let links = processes.filter_map(|entry| std::fs::read_link(entry.path().join("ns/pid")).ok());
    links.filter(|link| link == namespace).count()
}
