//! Operators: what takes two takes two different ones, and a role is a limit.

use serde_json::json;
use tests::support::admin;
use tests::support::world::World;

#[tokio::test]
async fn nobody_approves_their_own_proposal() {
    let world = World::shared().await;
    let body = json!({ "holder_id": "u-own", "display_name": "Own" });
    let id = admin::propose(world, &world.pki.registrar, "POST /holders", Some(&body)).await;
    let approve = format!("POST /proposals/{id}/approve");
    let own = admin::ask(world, &world.pki.registrar, &approve, None).await;
    own.expect_problem(403, "not_permitted");
    let auditor = admin::ask(world, &world.pki.auditor, &approve, None).await;
    auditor.expect_problem(403, "not_permitted");
    assert!(!holders(world).await.contains(&"u-own".to_owned()));
    admin::ask(world, &world.pki.officer, &approve, None).await.expect(200);
    assert!(holders(world).await.contains(&"u-own".to_owned()));
    // Once is once.
    let again = admin::ask(world, &world.pki.officer2, &approve, None).await;
    assert!(again.status >= 400, "{again}");
}

#[tokio::test]
async fn rejected_proposal_changes_nothing() {
    let world = World::shared().await;
    let body = json!({ "holder_id": "u-rejected", "display_name": "No" });
    let id = admin::propose(world, &world.pki.registrar, "POST /holders", Some(&body)).await;
    admin::ask(world, &world.pki.officer, &format!("POST /proposals/{id}/reject"), None)
        .await
        .expect(200);
    let late =
        admin::ask(world, &world.pki.officer2, &format!("POST /proposals/{id}/approve"), None)
            .await;
    assert!(late.status >= 400, "{late}");
    assert!(!holders(world).await.contains(&"u-rejected".to_owned()));
}

#[tokio::test]
async fn role_is_a_limit() {
    let world = World::shared().await;
    let pki = &world.pki;
    let holder = json!({ "holder_id": "u-x", "display_name": "X" });
    for operator in [&pki.auditor, &pki.administrator] {
        admin::ask(world, operator, "POST /holders", Some(&holder))
            .await
            .expect_problem(403, "not_permitted");
    }
    let on = json!({ "on": true });
    for operator in [&pki.auditor, &pki.registrar, &pki.administrator] {
        admin::ask(world, operator, "POST /test-mode", Some(&on))
            .await
            .expect_problem(403, "not_permitted");
    }
    for (line, who) in
        [("DELETE /systems/ehr", &pki.auditor), ("POST /holders/u-17/disable", &pki.auditor)]
    {
        admin::ask(world, who, line, None).await.expect_problem(403, "not_permitted");
    }
    admin::ask(world, &pki.ehr, "GET /status", None).await.expect_problem(403, "client_unknown");
}

#[tokio::test]
async fn every_change_of_trust_is_in_the_audit_log_with_both_names() {
    let world = World::shared().await;
    let body = json!({ "holder_id": "u-audited", "display_name": "Audited" });
    admin::grant(world, "POST /holders", Some(&body)).await;
    let records = admin::audit_records(world, "event=trust_changed").await;
    let record = records.iter().find(|record| record["event"].to_string().contains("u-audited"));
    let text = record.expect("the record of the change").to_string();
    assert!(text.contains("registrar") && text.contains("officer2"), "{text}");
}

#[tokio::test]
async fn certificate_for_another_key_cannot_be_installed() {
    let world = World::shared().await;
    let make = |id: &str| json!({ "credential_id": id, "holder_id": "u-17", "key_type": "p-256" });
    let registrar = &world.pki.registrar;
    let one =
        admin::ask(world, registrar, "POST /keys", Some(&make("one"))).await.expect(201).json();
    admin::ask(world, registrar, "POST /keys", Some(&make("two"))).await.expect(201);
    let csr_pem = one["csr_pem"].as_str().unwrap();
    let validity = tests::support::pki::Validity::CURRENT;
    let (pem, _) = world.pki.hpki_sign.second_certificate(csr_pem, "u-17", validity);
    let chain = json!({ "chain_pem": format!("{pem}{}", world.pki.hpki_sign.pem_text()) });
    let refused = admin::ask(world, registrar, "POST /keys/two/certificate", Some(&chain)).await;
    assert!((400..500).contains(&refused.status), "{refused}");
    for id in ["one", "two"] {
        admin::ask(world, registrar, &format!("POST /keys/{id}/revoke"), None).await.expect(200);
    }
}

#[tokio::test]
async fn command_line_speaks_with_the_daemon() {
    let world = World::shared().await;
    let status = world.inkan(&["--json", "status"]);
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["state"], "operational");
}

async fn holders(world: &World) -> Vec<String> {
    let listed =
        admin::ask(world, &world.pki.auditor, "GET /holders", None).await.expect(200).json();
    let ids = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|holder| holder["holder_id"].as_str().unwrap().to_owned());
    ids.collect()
}
