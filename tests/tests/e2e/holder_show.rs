//! One person on one screen (F34), and what two operators read before they link or install something of theirs.

use serde_json::Value;
use serde_json::json;
use tests::support::admin;
use tests::support::pki::AUTHENTICATION_POLICY;
use tests::support::pki::Pair;
use tests::support::pki::Validity;
use tests::support::world::World;

async fn sheet(world: &World, holder_id: &str) -> Value {
    let line = format!("GET /holders/{holder_id}");
    admin::ask(world, &world.pki.auditor, &line, None).await.expect(200).json()
}

/// What `inkan holder show` prints.
fn shown(world: &World, operator: &Pair, holder_id: &str) -> String {
    let (certificate, key) =
        (operator.certificate.to_str().unwrap(), operator.key.to_str().unwrap());
    let output = world.inkan(&["--cert", certificate, "--key", key, "holder", "show", holder_id]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn officer_sees_one_person_whole_and_what_to_type_next() {
    let world = World::shared().await;
    let doctor = world.new_doctor(Validity::for_seconds(30 * 86_400)).await;
    let (id, key) = (&doctor.holder_id, &doctor.credential_id);
    let session = world.ehr().sign_in(&doctor.card).await;
    let text = shown(world, &world.pki.registrar, id);
    for part in [
        "may sign",
        "nobody is named",
        &session.session_id,
        &format!("next: inkan key renew {key}"),
        &format!("next: inkan holder update {id} --ca-contact"),
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    // Who may not read people's data is told nothing.
    let line = format!("GET /holders/{id}");
    let refused = admin::ask(world, &world.pki.administrator, &line, None).await;
    refused.expect_problem(403, "not_permitted");
    let nobody = admin::ask(world, &world.pki.auditor, "GET /holders/nobody-here", None).await;
    nobody.expect_problem(404, "holder_unknown");

    // The contact is named by two.
    let change = json!({ "ca_contact": "医師会 03-0000-0000" });
    admin::grant(world, &format!("PATCH /holders/{id}"), Some(&change)).await;
    let seen = sheet(world, id).await;
    assert_eq!(seen["holder"]["ca_contact"], "医師会 03-0000-0000");
    assert_eq!(seen["sessions"].as_array().unwrap().len(), 1);

    // What is taken is kept with its reason, and what is wrong comes first.
    let because = json!({ "reason": "カード紛失" });
    let card = seen["cards"][0]["card"].as_str().unwrap().to_owned();
    assert!(seen["cards"][0]["not_after"].is_string());
    let unlink = format!("DELETE /cards/{card}");
    admin::ask(world, &world.pki.registrar, &unlink, Some(&because)).await.expect(200);
    let disable = format!("POST /holders/{id}/disable");
    admin::ask(world, &world.pki.registrar, &disable, Some(&because)).await.expect(200);
    let seen = sheet(world, id).await;
    assert_eq!(seen["taken"][0]["what"], "card");
    assert_eq!(seen["taken"][0]["reason"], "カード紛失");
    assert_eq!(seen["stop"]["reason"], "カード紛失");
    assert_eq!(seen["findings"][0]["subject"], "holder");
    let text = shown(world, &world.pki.registrar, id);
    for part in ["DISABLED since", "カード紛失", &format!("next: inkan holder enable {id}")] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    admin::ask(world, &world.pki.registrar, &format!("POST /keys/{key}/revoke"), None)
        .await
        .expect(200);
    let text = shown(world, &world.pki.registrar, id);
    assert!(text.contains("entitlement_over"), "{text}");
}

#[tokio::test]
async fn holder_is_changed_by_two_who_read_what_changes() {
    let world = World::shared().await;
    let doctor = world.new_doctor(Validity::CURRENT).await;
    let line = format!("PATCH /holders/{}", doctor.holder_id);
    let ask = async |body: Value| admin::ask(world, &world.pki.registrar, &line, Some(&body)).await;
    for wrong in [json!({}), json!({ "display_name": "a\u{202e}b" }), json!({ "enabled": true })] {
        ask(wrong).await.expect_problem(400, "malformed_request");
    }
    let same = json!({ "display_name": doctor.holder_id });
    ask(same).await.expect_problem(409, "conflict");
    let proposed = ask(json!({ "display_name": "山田 花子" })).await.expect(202).json();
    let changes = proposed["proposal"]["changes"].to_string();
    assert!(changes.contains(&format!("\"now\":\"{}\"", doctor.holder_id)), "{changes}");
    assert!(changes.contains("\"then\":\"山田 花子\""), "{changes}");
    assert_eq!(sheet(world, &doctor.holder_id).await["holder"]["display_name"], doctor.holder_id);
    let approve = format!("POST /proposals/{}/approve", proposed["proposal_id"].as_str().unwrap());
    admin::ask(world, &world.pki.officer, &approve, None).await.expect(200);
    assert_eq!(sheet(world, &doctor.holder_id).await["holder"]["display_name"], "山田 花子");
}

#[tokio::test]
async fn both_operators_see_where_card_and_second_certificate_differ() {
    let world = World::shared().await;
    let doctor = world.new_doctor(Validity::CURRENT).await;
    let pki = &world.pki;
    let other = pki.hpki_auth.card("somebody else", AUTHENTICATION_POLICY, Validity::CURRENT);
    let link = json!({ "holder_id": doctor.holder_id, "certificate_pem": other.pem() });
    let id = admin::propose(world, &pki.registrar, "POST /cards", Some(&link)).await;
    let line = format!("GET /proposals/{id}");
    let proposal = admin::ask(world, &pki.officer, &line, None).await.expect(200).json();
    let lines: Vec<String> = proposal["changes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|change| change["what"].as_str().unwrap().starts_with("beside the certificate of"))
        .map(|change| change["then"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("DIFFERS: card ") && line.contains("somebody else")),
        "{lines:?}"
    );
    assert!(lines.iter().any(|line| line.starts_with("same: ")), "{lines:?}");
    admin::ask(world, &pki.officer, &format!("POST /proposals/{id}/reject"), None)
        .await
        .expect(200);
}
