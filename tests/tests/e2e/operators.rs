//! Who may do what at the admin listener: every endpoint by every role (P1), one normal form of names (P3), what widens
//! takes two and what narrows holds at once, and nobody locks the house.

use api::admin::rest::ROUTES;
use api::admin::rest::command_of;
use appliance::admin::table::rule;
use attest::records::Role;
use serde_json::Value;
use serde_json::json;
use tests::support::admin;
use tests::support::ehr::Ehr;
use tests::support::ehr::Sign;
use tests::support::pki::Pair;
use tests::support::pki::Validity;
use tests::support::world::DOCTOR;
use tests::support::world::DOCTOR2;
use tests::support::world::Plan;
use tests::support::world::RETURN_URL;
use tests::support::world::World;

/// Syntactically right and about nothing that is there, so that an allowed request changes nothing either.
fn harmless(method: &str, path: &str) -> Option<Value> {
    let pem = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";
    Some(match (method, path) {
        ("POST", "/holders") => json!({ "holder_id": DOCTOR, "display_name": "There already" }),
        ("POST", "/cards") => json!({ "holder_id": "nobody", "certificate_pem": pem }),
        ("POST", "/letters") => json!({ "holder_id": "nobody" }),
        ("POST", "/keys") => {
            json!({ "credential_id": "nothing", "holder_id": "nobody", "key_type": "p-256" })
        }
        ("POST", "/keys/{credential_id}/certificate") => json!({ "chain_pem": pem }),
        ("POST", "/systems") => json!({
            "system_id": "ehr", "display_name": "There already", "certificates_pem": [pem],
            "all_holders": true, "methods": ["hpki"],
        }),
        ("PATCH", "/holders/{holder_id}") => json!({ "ca_contact": "nobody" }),
        ("PATCH", _) => json!({ "raw_allowed": false }),
        ("POST", "/operators") => {
            json!({ "operator_id": "officer", "role": "auditor", "certificate_pem": pem })
        }
        ("POST", "/anchors") => json!({ "purpose": "hpki_card", "certificate_pem": pem }),
        ("POST", "/test-mode") => json!({ "on": false }),
        ("POST", "/module") => json!({ "module": "0".repeat(64) }),
        _ => return None,
    })
}

#[tokio::test]
async fn p1_every_endpoint_lets_in_exactly_the_roles_of_the_table() {
    let world = World::shared().await;
    let pki = &world.pki;
    let people: [(Role, &Pair); 4] = [
        (Role::SecurityOfficer, &pki.officer),
        (Role::Administrator, &pki.administrator),
        (Role::RegistrationOfficer, &pki.registrar),
        (Role::Auditor, &pki.auditor),
    ];
    for route in ROUTES {
        let zeros = "0".repeat(64);
        let path = route.path.replace("{purpose}", "hpki_card").replace("{seq}", "1");
        let path = ["{card}", "{device}", "{fingerprint}", "{public_key}"]
            .iter()
            .fold(path, |path, name| path.replace(name, &zeros));
        let path = path.replace(['{', '}'], "");
        let body = harmless(route.method, route.path);
        let octets = body.as_ref().map(Value::to_string).unwrap_or_default();
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let command = command_of(route.method, &segments, "", octets.as_bytes()).unwrap();
        let line = format!("{} {path}", route.method);
        for (role, person) in people {
            let reply = admin::ask(world, person, &line, body.as_ref()).await;
            let is_let_in = reply.code() != "not_permitted";
            let may = rule(&command).asks.contains(&role);
            assert_eq!(is_let_in, may, "{line} by {}: {reply}", role.name());
            assert!(reply.status < 500, "{line} by {}: {reply}", role.name());
            if reply.status == 202 {
                let id = reply.json()["proposal_id"].as_str().unwrap().to_owned();
                let reject = format!("POST /proposals/{id}/reject");
                admin::ask(world, &pki.officer2, &reject, None).await.expect(200);
            }
        }
        for stranger in [&pki.ehr, &pki.unregistered] {
            let reply = admin::ask(world, stranger, &line, body.as_ref()).await;
            reply.expect_problem(403, "client_unknown");
        }
    }
}

#[tokio::test]
async fn p3_name_that_differs_in_case_only_is_refused() {
    let world = World::shared().await;
    let pki = &world.pki;
    let holder = json!({ "holder_id": "U-17", "display_name": "Other" });
    let refused = admin::ask(world, &pki.registrar, "POST /holders", Some(&holder)).await;
    refused.expect_problem(409, "conflict");
    let key = json!({ "credential_id": "P256", "holder_id": DOCTOR, "key_type": "p-256" });
    let refused = admin::ask(world, &pki.registrar, "POST /keys", Some(&key)).await;
    refused.expect_problem(409, "conflict");
    for id in ["u 17", "u%2d17", "ｕ-17", "../u", ""] {
        let holder = json!({ "holder_id": id, "display_name": "Other" });
        let refused = admin::ask(world, &pki.registrar, "POST /holders", Some(&holder)).await;
        refused.expect_problem(400, "malformed_request");
    }
}

#[tokio::test]
async fn last_two_security_officers_stay() {
    let world = World::shared().await;
    for id in ["officer", "officer2"] {
        let line = format!("DELETE /operators/{id}");
        let refused = admin::ask(world, &world.pki.officer, &line, None).await;
        assert!(refused.text().contains("last two security officers"), "{refused}");
        refused.expect_problem(409, "conflict");
    }
}

#[tokio::test]
async fn certificate_serves_one_system_or_one_operator_and_none_that_certifies_others() {
    let world = World::shared().await;
    let pki = &world.pki;
    let add =
        |pem: String| json!({ "operator_id": "twin", "role": "auditor", "certificate_pem": pem });
    for taken in [&pki.ehr, &pki.officer2] {
        let refused =
            admin::ask(world, &pki.officer, "POST /operators", Some(&add(taken.pem()))).await;
        refused.expect_problem(409, "conflict");
    }
    let authority = add(pki.clients.pem_text());
    let refused = admin::ask(world, &pki.officer, "POST /operators", Some(&authority)).await;
    refused.expect_problem(403, "not_permitted");
    let with_key = format!("{}-----BEGIN PRIVATE KEY-----\n", pki.unregistered.pem());
    let refused = admin::ask(world, &pki.officer, "POST /operators", Some(&add(with_key))).await;
    assert!(refused.text().contains("private key"), "{refused}");
    refused.expect_problem(400, "malformed_request");
}

#[tokio::test]
async fn revoked_card_is_not_linked_and_a_linked_one_not_twice() {
    let world = World::shared().await;
    let pki = &world.pki;
    let link =
        |holder: &str, card: &Pair| json!({ "holder_id": holder, "certificate_pem": card.pem() });
    let revoked = link(DOCTOR, &pki.revoked_card);
    let refused = admin::ask(world, &pki.registrar, "POST /cards", Some(&revoked)).await;
    refused.expect_problem(409, "credential_revoked");
    let twice = link(DOCTOR2, &pki.card);
    let refused = admin::ask(world, &pki.registrar, "POST /cards", Some(&twice)).await;
    refused.expect_problem(409, "conflict");
}

#[tokio::test]
async fn proposal_of_an_operator_who_left_is_void() {
    let world = World::shared().await;
    let pki = &world.pki;
    let guest = pki.clients.client("guest", Validity::CURRENT);
    let body = json!({ "operator_id": "guest", "role": "registration_officer", "certificate_pem": guest.pem() });
    admin::grant(world, "POST /operators", Some(&body)).await;
    let holder = json!({ "holder_id": "u-void", "display_name": "Void" });
    let id = admin::propose(world, &guest, "POST /holders", Some(&holder)).await;
    admin::ask(world, &pki.officer, "DELETE /operators/guest", None).await.expect(200);
    admin::ask(world, &guest, "GET /status", None).await.expect_problem(403, "client_unknown");
    let shown =
        admin::ask(world, &pki.auditor, &format!("GET /proposals/{id}"), None).await.expect(200);
    assert_eq!(shown.json()["state"], "void");
    let approve = format!("POST /proposals/{id}/approve");
    admin::ask(world, &pki.officer, &approve, None).await.expect_problem(409, "conflict");
    admin::ask(world, &pki.officer, &format!("POST /proposals/{id}/reject"), None)
        .await
        .expect(200);
}

/// A signing system of this test's own.
async fn system(world: &World, id: &str) -> Pair {
    let certificate = world.pki.clients.client(id, Validity::CURRENT);
    let body = json!({
        "system_id": id, "display_name": id, "certificates_pem": [certificate.pem()],
        "return_urls": [RETURN_URL], "all_holders": true, "methods": ["hpki"],
        "limits": { "signatures": 100, "seconds": 3600 }, "requests_per_second": 1000,
    });
    admin::grant(world, "POST /systems", Some(&body)).await;
    certificate
}

#[tokio::test]
async fn widening_a_system_takes_two_and_narrowing_it_holds_when_it_is_answered() {
    let world = World::shared().await;
    let pki = &world.pki;
    let certificate = system(world, "narrowed").await;
    let ehr = Ehr::new(world, &certificate);
    let session = ehr.sign_in(&pki.card).await;
    let sign =
        Sign { token: &session.token, credential: Some("p256"), content: b"x", ..Sign::default() };
    sign.send(&mut ehr.connect().await).await.expect(200);

    let wider = json!({ "limits": { "signatures": 200 } });
    let id =
        admin::propose(world, &pki.administrator, "PATCH /systems/narrowed", Some(&wider)).await;
    sign.send(&mut ehr.connect().await).await.expect(200);

    // Other holders only: the session that lives no longer fits.
    let narrower = json!({ "holders": [DOCTOR2], "limits": { "signatures": 50 } });
    let done =
        admin::ask(world, &pki.administrator, "PATCH /systems/narrowed", Some(&narrower)).await;
    assert_eq!(done.expect(200).json()["sessions_ended"], 1);
    sign.send(&mut ehr.connect().await).await.expect_problem(401, "session_ended");

    // What was proposed before would now do something else than what was read.
    let approve = format!("POST /proposals/{id}/approve");
    let stale = admin::ask(world, &pki.officer, &approve, None).await;
    assert!(stale.text().contains("something else"), "{stale}");
    stale.expect_problem(409, "conflict");
    admin::ask(world, &pki.officer, &format!("POST /proposals/{id}/reject"), None)
        .await
        .expect(200);

    admin::ask(world, &pki.administrator, "DELETE /systems/narrowed", None).await.expect(200);
    let gone = sign.send(&mut ehr.connect().await).await;
    gone.expect_problem(403, "client_unknown");
}

#[tokio::test]
async fn limits_beyond_the_ceilings_of_the_configuration_are_refused() {
    let world = World::shared().await;
    let one_more = json!({ "limits": { "signatures": 100_000_000 } });
    let refused =
        admin::ask(world, &world.pki.administrator, "PATCH /systems/ehr", Some(&one_more)).await;
    assert!(refused.text().contains("sessions.max_signatures"), "{refused}");
    refused.expect_problem(400, "malformed_request");
}

#[tokio::test]
async fn disabled_holder_signs_nothing_more_until_two_enable_them() {
    // Of its own: others sign as this holder.
    let world = &World::new(Plan::default()).await;
    let pki = &world.pki;
    let certificate = system(world, "ward").await;
    let ehr = Ehr::new(world, &certificate);
    let session = ehr.sign_in(&pki.card2).await;
    let sign =
        Sign { token: &session.token, credential: Some("other"), content: b"x", ..Sign::default() };
    sign.send(&mut ehr.connect().await).await.expect(200);
    let disable = format!("POST /holders/{DOCTOR2}/disable");
    let done = admin::ask(world, &pki.registrar, &disable, None).await.expect(200);
    assert!(done.json()["sessions_ended"].as_u64() >= Some(1), "{done}");
    let refused = sign.send(&mut ehr.connect().await).await;
    assert!(["session_ended", "holder_disabled"].contains(&refused.code().as_str()), "{refused}");
    admin::grant(world, &format!("POST /holders/{DOCTOR2}/enable"), None).await;
    // Enabling revives no session: it ended because its holder was disabled, and still says so.
    let still = sign.send(&mut ehr.connect().await).await;
    still.expect_problem(403, "holder_disabled");
    ehr.sign_in(&pki.card2).await;
    admin::ask(world, &pki.administrator, "DELETE /systems/ward", None).await.expect(200);
}

#[tokio::test]
async fn command_line_tells_in_words_what_waits_and_what_to_type() {
    let world = World::shared().await;
    let as_operator = |pair: &Pair, arguments: &[&str]| {
        let (certificate, key) = (pair.certificate.to_str().unwrap(), pair.key.to_str().unwrap());
        world.inkan(&[&["--cert", certificate, "--key", key], arguments].concat())
    };
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let proposed =
        as_operator(&world.pki.registrar, &["holder", "add", "u-typed", "--name", "打鍵"]);
    assert!(proposed.status.success(), "{}", text(&proposed.stderr));
    let words = text(&proposed.stdout);
    let id =
        words.lines().find_map(|line| line.trim().strip_prefix("inkan approve ")).expect(&words);

    let own = as_operator(&world.pki.registrar, &["approve", id, "--yes"]);
    assert_eq!(own.status.code(), Some(1));
    assert!(text(&own.stderr).contains("nobody approves their own"), "{}", text(&own.stderr));
    // Nobody sits at a terminal here: without --yes nothing happens, whatever else comes in.
    for unasked in [&["approve", id][..], &["--json", "approve", id], &["proposals", "approve", id]]
    {
        let unasked = as_operator(&world.pki.officer, unasked);
        assert_eq!(unasked.status.code(), Some(1));
        assert!(text(&unasked.stderr).contains("--yes"), "{}", text(&unasked.stderr));
    }
    let still = text(&as_operator(&world.pki.auditor, &["proposals", "show", id]).stdout);
    assert!(still.contains("open"), "{still}");
    let other = as_operator(&world.pki.officer, &["approve", id, "--yes"]);
    assert!(other.status.success(), "{}", text(&other.stderr));
    let listed = text(&as_operator(&world.pki.auditor, &["holder", "list"]).stdout);
    assert!(listed.contains("打鍵"), "{listed}");

    let denied = as_operator(&world.pki.auditor, &["holder", "disable", "u-typed"]);
    assert_eq!(denied.status.code(), Some(1));
    let stranger = as_operator(&world.pki.unregistered, &["status"]);
    assert!(text(&stranger.stderr).contains("Next: "), "{}", text(&stranger.stderr));
    let checked = world.inkan(&["check-config", world.launch.config.to_str().unwrap()]);
    assert!(checked.status.success(), "{}", text(&checked.stdout));
}

#[tokio::test]
async fn mistake_at_the_command_line_is_named_with_what_to_type_instead() {
    let world = World::shared().await;
    let (officer, key) = (&world.pki.officer.certificate, &world.pki.officer.key);
    let (officer, key) = (officer.to_str().unwrap(), key.to_str().unwrap());
    let config = world.launch.config.to_str().unwrap();
    let gone = "/nonexistent/file";
    let mistakes: [(&[&str], &[&str]); 14] = [
        (&["system", "remove", "nobody"], &["no system nobody", "Next: inkan system list"]),
        (&["operator", "remove", "nobody"], &["no operator", "Next: inkan operator list"]),
        (&["card", "unlink", &"0".repeat(64)], &["no such card", "Next: inkan card list"]),
        (&["test-mode", "off"], &["off already", "Next: inkan status"]),
        (&["card", "link", "u-17", "--certificate", gone], &["ls -l /nonexistent"]),
        (&["card", "link", "u-17", "--certificate", key], &["holds no certificate"]),
        (&["module", "approve", config], &["no shared library"]),
        (&["module", "approve", gone], &["ls -l /nonexistent"]),
        (&["audit", "search", "--event", "signatures"], &["write one of signature,"]),
        (&["audit", "verify", gone, "--key", gone], &["ls -l /nonexistent"]),
        (&["--server-ca", gone, "status"], &["ls -l /nonexistent"]),
        (&["--admin-url", "https://localhost:1", "status"], &["systemctl status inkan"]),
        (&["--config", config, "init", "--operator", "a:b"], &["ID:ROLE:CERTIFICATE.pem"]),
        (&["proposals", "show", "p-0"], &["Next: inkan proposals"]),
    ];
    for (arguments, words) in mistakes {
        let output = world.inkan(&[&["--cert", officer, "--key", key], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        for word in words {
            assert!(said.contains(word), "{arguments:?}: {word:?} is not in: {said}");
        }
    }
    let found = world.inkan(&["audit", "search", "--request", "nobody-asked"]);
    assert!(found.stdout.is_empty());
    assert_eq!(String::from_utf8_lossy(&found.stderr), "none\n");
}

#[tokio::test]
async fn export_that_comes_to_nothing_leaves_an_earlier_one_alone() {
    let world = World::shared().await;
    let folder = tempfile::tempdir_in(&world.folder).unwrap();
    let file = folder.path().join("export");
    std::fs::write(&file, "an earlier export").unwrap();
    let file = file.to_str().unwrap();
    let export = |dir: &str| world.inkan(&["audit", "export", "--dir", dir, "--out", file]);
    assert!(!export("/nonexistent").status.success());
    assert_eq!(std::fs::read_to_string(file).unwrap(), "an earlier export");
    assert!(export(world.data_dir.join("audit").to_str().unwrap()).status.success());
    assert!(std::fs::read_to_string(file).unwrap().contains("leaf_hash"));
}

#[tokio::test]
async fn doctor_names_what_is_bad_and_the_next_command() {
    let world = World::shared().await;
    let config = world.launch.config.to_str().unwrap();
    let found = world.inkan(&["--json", "--config", config, "doctor"]);
    let view: Value = serde_json::from_slice(&found.stdout).unwrap();
    let checks = view["checks"].as_array().unwrap();
    let of = |subject: &str| checks.iter().find(|check| check["subject"] == subject);
    for subject in
        ["token", "audit log", "clock", "operators", "disk", "listeners.admin", "audit log files"]
    {
        assert!(of(subject).is_some(), "{subject} is not checked: {view:#}");
    }
    assert_eq!(of("token").unwrap()["verdict"], "good");
    assert_eq!(of("audit log files").unwrap()["verdict"], "good", "{view:#}");
    for check in checks.iter().filter(|check| check["verdict"] != "good") {
        assert!(check["next"].as_str().is_some_and(|next| !next.is_empty()), "{check:#}");
    }
}

/// Approves one proposal after the other until the daemon is gone; what was acknowledged, by holder.
async fn approve_until_broken(world: &World, proposals: &[(String, String)]) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for (holder, proposal) in proposals {
        let line = format!("POST /proposals/{proposal}/approve");
        match admin::try_ask(world, &world.pki.officer, &line, None).await {
            Ok(reply) if reply.status == 200 => acknowledged.push(holder.clone()),
            _ => break,
        }
    }
    acknowledged
}

#[tokio::test]
async fn kill_9_leaves_no_change_of_trust_without_its_record() {
    let mut world = World::new(Plan::default()).await;
    for round in 0..6_u64 {
        let mut proposals = Vec::new();
        for n in 0..25 {
            let holder = format!("k-{round}-{n}");
            let body = json!({ "holder_id": holder, "display_name": "Kill" });
            let id =
                admin::propose(&world, &world.pki.registrar, "POST /holders", Some(&body)).await;
            proposals.push((holder, id));
        }
        let pid = nix::unistd::Pid::from_raw(world.daemon.pid().try_into().unwrap());
        let killer = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(20 + 37 * round));
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
        });
        let acknowledged = approve_until_broken(&world, &proposals).await;
        killer.join().unwrap();
        world.daemon.kill();
        world.restart();

        let listed =
            admin::ask(&world, &world.pki.auditor, "GET /holders", None).await.expect(200).json();
        let listed: Vec<_> =
            listed.as_array().unwrap().iter().map(|one| one["holder_id"].clone()).collect();
        let records = admin::audit_records(&world, "event=trust_changed").await;
        let is_recorded = |holder: &Value| {
            records.iter().any(|record| {
                record["event"]["id"] == *holder && record["event"]["what"] == "holder"
            })
        };
        for holder in &acknowledged {
            assert!(listed.contains(&json!(holder)), "{holder} was acknowledged and is lost");
        }
        for holder in &listed {
            assert!(is_recorded(holder), "{holder} is trusted and no record says why");
        }
        for (holder, proposal) in &proposals {
            let shown = format!("GET /proposals/{proposal}");
            let state =
                admin::ask(&world, &world.pki.auditor, &shown, None).await.expect(200).json();
            let is_approved = state["state"] == "approved";
            assert_eq!(is_approved, listed.contains(&json!(holder)), "{holder}: {state}");
        }
    }
}
