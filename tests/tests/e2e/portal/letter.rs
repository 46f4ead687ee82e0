//! Notification cards: two operators hand out a link and a password, a phone is registered by both, and nothing by one.

use super::house::House;
use crate::clock::with_clock;
use attest::danger_testing::PhoneKey;
use attest::danger_testing::SoftPhone;
use rustls::version::TLS13;
use serde_json::Value;
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use tests::support::admin;
use tests::support::config::Settings;
use tests::support::doctor::Doctor;
use tests::support::http::Connection;
use tests::support::http::Reply;
use tests::support::http::tls_config;
use tests::support::letter::Sheets;
use tests::support::letter::issue;
use tests::support::letter::issue_unfetched;
use tests::support::letter::letter;
use tests::support::pki::Validity;
use tests::support::world::Plan;
use tests::support::world::World;
use tokio::task::JoinSet;

async fn connect(world: &World) -> Connection {
    let config = tls_config(&world.pki.servers.pem, None, &TLS13);
    Connection::tls(world.ports.portal, config).await.unwrap()
}

async fn open(world: &World, sheets: &Sheets, cookie: &str) -> Reply {
    let headers = if cookie.is_empty() { String::new() } else { format!("Cookie: {cookie}\r\n") };
    connect(world).await.ask(&format!("GET {}?lang=en", sheets.path), &headers, b"").await
}

async fn send_password(world: &World, sheets: &Sheets, password: &str) -> Reply {
    let headers = "Content-Type: application/x-www-form-urlencoded\r\n";
    let form = format!("password={password}&lang=en");
    connect(world).await.ask(&format!("POST {}", sheets.path), headers, form.as_bytes()).await
}

/// The same, and the page that it leads back to when it was wrong.
async fn type_password(world: &World, sheets: &Sheets, password: &str) -> Reply {
    let led = send_password(world, sheets, password).await;
    match led.cookie("__Secure-slip") {
        Some(slip) => open(world, sheets, &slip).await,
        None => led,
    }
}

/// The cookie that the right password gives.
pub async fn log_in(world: &World, sheets: &Sheets) -> String {
    let reply = type_password(world, sheets, &sheets.password).await.expect(303);
    assert_eq!(reply.header("location"), format!("{}?lang=en", sheets.path));
    reply.header("set-cookie").split(';').next().unwrap().to_owned()
}

async fn post(world: &World, sheets: &Sheets, cookie: &str, what: &str, body: &Value) -> Reply {
    let headers = format!("Content-Type: application/json\r\nCookie: {cookie}\r\n");
    let line = format!("POST {}/{what}?lang=en", sheets.path);
    connect(world).await.ask(&line, &headers, body.to_string().as_bytes()).await
}

/// The question, and what `phone` answers.
pub async fn prove(world: &World, sheets: &Sheets, cookie: &str, phone: &mut SoftPhone) -> Reply {
    let asked = post(world, sheets, cookie, "options", &json!({})).await.expect(200).json();
    let created = phone.create(&asked["options"].to_string()).unwrap();
    let credential: Value = serde_json::from_str(&created).unwrap();
    let body = json!({ "ceremony_id": asked["ceremony_id"], "credential": credential });
    post(world, sheets, cookie, "finish", &body).await
}

fn new_phone(world: &World) -> SoftPhone {
    let origin = format!("https://localhost:{}", world.ports.portal.port());
    SoftPhone::new(&origin, "localhost", PhoneKey::P256).unwrap()
}

/// A page without what differs from request to request.
fn words(reply: &Reply) -> (u16, String) {
    (reply.status, reply.text().replace(&reply.request_id(), ""))
}

async fn changes(house: &House, doctor: &Doctor) -> Vec<String> {
    let records = house.records(doctor, "trust_changed").await;
    let of = records.iter().filter(|record| record["event"]["what"] == "notification_card");
    of.map(|record| record["event"]["change"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn link_and_password_register_a_phone_that_signs_in() {
    let house = House::shared().await;
    let world = &house.world;
    let doctor = house.doctor(Validity::CURRENT).await;
    let sheets = issue(world, &doctor.holder_id).await;
    // Looking changes nothing.
    for _ in 0..3 {
        let page = open(world, &sheets, "").await.expect(200).text();
        assert!(page.contains("name=\"password\"") && !page.contains(&doctor.holder_id), "{page}");
    }
    assert_eq!(letter(world, &doctor.holder_id).await["state"], "issued");
    let cookie = log_in(world, &sheets).await;
    let page = open(world, &sheets, &cookie).await.expect(200).text();
    assert!(page.contains(&doctor.holder_id) && page.contains("Register"), "{page}");
    let mut phone = new_phone(world);
    // Cancelled once, then done: all within the same card.
    post(world, &sheets, &cookie, "options", &json!({})).await.expect(200);
    let told = prove(world, &sheets, &cookie, &mut phone).await.expect(200);
    assert!(told.text().contains("This phone is registered"), "{told}");
    assert!(open(world, &sheets, &cookie).await.expect(200).text().contains("is registered"));
    let devices = house.devices(&doctor).await;
    assert_eq!(devices[0]["enrolled_by"], "notification_card");
    assert_eq!(devices[0]["enrolled_by_factor"], sheets.letter_id.as_str());
    house.sign_in(&doctor, &mut phone).await;
    // Whoever had both sheets need not be the holder: the audit log does not say that they were.
    let records = house.records(&doctor, "trust_changed").await;
    let device = records.iter().find(|record| record["event"]["what"] == "device").unwrap();
    assert_eq!(device["principal"], json!({ "kind": "unknown" }), "{device}");
    let expected = ["granted", "handed_out", "handed_out", "opened", "used"];
    assert_eq!(changes(house, &doctor).await, expected);
    // Both operators answer for the phone: nobody proved to be the holder.
    let by = (&device["event"]["proposed_by"], &device["event"]["approved_by"]);
    assert_eq!(by, (&json!("registrar"), &json!(["officer2"])));
    assert!(!device["principal"].to_string().contains(&doctor.holder_id), "{device}");
    let letter = letter(world, &doctor.holder_id).await;
    assert_eq!((&letter["state"], &letter["issued_by"]), (&json!("done"), &json!("registrar")));
    assert!(world.metric("inkan_notification_cards_total", &["registered"]) >= 1.0);
}

#[tokio::test]
async fn neither_sheet_alone_registers_anything_and_no_file_has_either() {
    let house = House::shared().await;
    let world = &house.world;
    let doctor = house.doctor(Validity::CURRENT).await;
    let sheets = issue(world, &doctor.holder_id).await;
    let refused = post(world, &sheets, "", "options", &json!({})).await;
    assert_eq!((refused.status, &refused.json()["state"]), (403, &json!("end")), "{refused}");
    let guess = "__Secure-letter=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    assert_eq!(post(world, &sheets, guess, "options", &json!({})).await.status, 403);
    assert!(open(world, &sheets, guess).await.text().contains("name=\"password\""));
    // The password, with another link.
    let other = house.doctor(Validity::CURRENT).await;
    let foreign =
        Sheets { password: sheets.password.clone(), ..issue(world, &other.holder_id).await };
    let wrong = type_password(world, &foreign, &foreign.password).await;
    assert!(wrong.text().contains("The password is wrong"), "{wrong}");
    let cookie = log_in(world, &sheets).await;
    let secrets = [
        sheets.link_secret().to_owned(),
        sheets.password.clone(),
        sheets.password.replace('-', ""),
        cookie.split('=').nth(1).unwrap().to_owned(),
    ];
    let mut looked_at = 0;
    for folder in [&world.data_dir, &world.folder] {
        looked_at += assert_without(folder, &secrets);
    }
    assert!(looked_at > 5, "{looked_at} files");
}

/// No file under `folder` has one of `secrets`; how many were read.
fn assert_without(folder: &Path, secrets: &[String]) -> usize {
    let mut looked_at = 0;
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            looked_at += assert_without(&path, secrets);
        } else if let Ok(octets) = std::fs::read(&path) {
            looked_at += 1;
            for secret in secrets {
                let found = octets.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{} has a secret", path.display());
            }
        }
    }
    looked_at
}

#[tokio::test]
async fn each_sheet_is_handed_to_its_own_operator_once() {
    let house = House::shared().await;
    let world = &house.world;
    let doctor = house.doctor(Validity::CURRENT).await;
    // The same operator does not approve it.
    let body = json!({ "holder_id": doctor.holder_id });
    let registrar = &world.pki.registrar;
    let proposal = admin::propose(world, registrar, "POST /letters", Some(&body)).await;
    let approve = format!("POST /proposals/{proposal}/approve");
    admin::ask(world, registrar, &approve, None).await.expect_problem(403, "not_permitted");
    let letter_id = issue_unfetched(world, &doctor.holder_id).await;
    let waiting = letter(world, &doctor.holder_id).await;
    assert_eq!(waiting["sheets_wait_for"], json!(["registrar", "officer2"]));
    let line = format!("POST /letters/{letter_id}/sheet");
    let third = admin::ask(world, &world.pki.officer, &line, None).await;
    third.expect_problem(403, "not_permitted");
    for (operator, kind) in [(registrar, "link"), (&world.pki.officer2, "password")] {
        let sheet = admin::ask(world, operator, &line, None).await.expect(200).json();
        assert_eq!(sheet["half"]["kind"], kind);
        assert_eq!(sheet["half"].as_object().unwrap().len(), 2, "one half alone");
        admin::ask(world, operator, &line, None).await.expect_problem(409, "conflict");
    }
    assert_eq!(letter(world, &doctor.holder_id).await["sheets_wait_for"], json!([]));
}

#[tokio::test]
async fn fifth_wrong_password_locks_and_another_card_has_other_secrets() {
    let house = House::shared().await;
    let world = &house.world;
    let doctor = house.doctor(Validity::CURRENT).await;
    let sheets = issue(world, &doctor.holder_id).await;
    // What can be no password is no try.
    let no_password = type_password(world, &sheets, "7K2MD").await;
    assert!(no_password.text().contains("ten letters and digits"), "{no_password}");
    for left in (1..5).rev() {
        let wrong = type_password(world, &sheets, &sheets.wrong()).await;
        let told = format!("After {left} more wrong ones");
        assert!(wrong.text().contains(&told), "{wrong}");
    }
    let locked = type_password(world, &sheets, &sheets.wrong()).await;
    assert!(locked.text().contains("The registration is locked"), "{locked}");
    let late = type_password(world, &sheets, &sheets.password).await;
    assert!(late.status == 403 && late.text().contains("registration is locked"), "{late}");
    assert!(open(world, &sheets, "").await.text().contains("registration is locked"));
    assert_eq!(letter(world, &doctor.holder_id).await["state"], "locked");
    assert!(changes(house, &doctor).await.contains(&"locked".to_owned()));
    let again = issue(world, &doctor.holder_id).await;
    assert!(again.password != sheets.password && again.path != sheets.path);
    assert!(open(world, &sheets, "").await.text().contains("cannot be used"));
    let cookie = log_in(world, &again).await;
    prove(world, &again, &cookie, &mut new_phone(world)).await.expect(200);
}

#[tokio::test]
async fn eight_wrong_passwords_at_once_are_five_tries() {
    let house = House::shared().await;
    let doctor = house.doctor(Validity::CURRENT).await;
    let sheets = issue(&house.world, &doctor.holder_id).await;
    let mut tries = JoinSet::new();
    for _ in 0..8 {
        let sheets = sheets.clone();
        tries.spawn(async move {
            send_password(&House::shared().await.world, &sheets, &sheets.wrong()).await
        });
    }
    let told = tries.join_all().await;
    let wrong = told.iter().filter(|told| told.cookie("__Secure-slip").is_some()).count();
    let locked = told.iter().filter(|told| told.text().contains("registration is locked")).count();
    assert_eq!((wrong, locked), (4, 4));
    let late = type_password(&house.world, &sheets, &sheets.password).await;
    assert!(late.text().contains("registration is locked"), "{late}");
}

#[tokio::test]
async fn phone_that_is_there_is_told_of_after_the_right_password_and_never_replaced() {
    let house = House::shared().await;
    let world = &house.world;
    let doctor = house.doctor(Validity::CURRENT).await;
    let sheets = issue(world, &doctor.holder_id).await;
    let mut phone = house.new_phone();
    house.enrol(&doctor.card, &mut phone).await.expect(200);
    let wrong = type_password(world, &sheets, &sheets.wrong()).await;
    assert!(wrong.text().contains("The password is wrong"), "{wrong}");
    let told = type_password(world, &sheets, &sheets.password).await;
    assert_eq!(told.status, 409, "{told}");
    assert!(told.text().contains("A phone is registered already"), "{told}");
    assert!(open(world, &sheets, "").await.text().contains("cannot be used"));
    assert_eq!(letter(world, &doctor.holder_id).await["state"], "already_registered");
    assert_eq!(house.devices(&doctor).await.len(), 1);
    house.sign_in(&doctor, &mut phone).await;
    // And no card is issued for such a holder.
    let body = json!({ "holder_id": doctor.holder_id });
    let refused = admin::ask(world, &world.pki.registrar, "POST /letters", Some(&body)).await;
    assert!(refused.text().contains("inkan device remove"), "{refused}");
    refused.expect_problem(409, "conflict");
}

#[tokio::test]
async fn card_that_a_phone_overtook_ends_with_its_record() {
    let house = House::shared().await;
    let world = &house.world;
    let doctor = house.doctor(Validity::CURRENT).await;
    let sheets = issue(world, &doctor.holder_id).await;
    let cookie = log_in(world, &sheets).await;
    let asked = post(world, &sheets, &cookie, "options", &json!({})).await.expect(200).json();
    house.enrol(&doctor.card, &mut house.new_phone()).await.expect(200);
    let created = new_phone(world).create(&asked["options"].to_string()).unwrap();
    let credential: Value = serde_json::from_str(&created).unwrap();
    let body = json!({ "ceremony_id": asked["ceremony_id"], "credential": credential });
    let told = post(world, &sheets, &cookie, "finish", &body).await;
    assert!(told.text().contains("A phone is registered already"), "{told}");
    let expected = ["granted", "handed_out", "handed_out", "opened", "already_registered"];
    assert_eq!(changes(house, &doctor).await, expected);
    assert_eq!(letter(world, &doctor.holder_id).await["state"], "already_registered");
}

#[tokio::test]
async fn cards_that_lead_nowhere_look_alike() {
    let house = House::shared().await;
    let world = &house.world;
    let doctor = house.doctor(Validity::CURRENT).await;
    let used = issue(world, &doctor.holder_id).await;
    let cookie = log_in(world, &used).await;
    prove(world, &used, &cookie, &mut new_phone(world)).await.expect(200);
    let other = house.doctor(Validity::CURRENT).await;
    let superseded = issue(world, &other.holder_id).await;
    let withdrawn = issue(world, &other.holder_id).await;
    let line = format!("DELETE /letters/{}", withdrawn.letter_id);
    admin::ask(world, &world.pki.registrar, &line, None).await.expect(200);
    admin::ask(world, &world.pki.registrar, &line, None).await.expect_problem(409, "conflict");
    let of = |path: String| Sheets { path, ..used.clone() };
    let unknown = of(format!("/letter/{}.{}", "0".repeat(32), "A".repeat(43)));
    let foreign = of(format!("/letter/{}.{}", withdrawn.letter_id, used.link_secret()));
    let malformed = of("/letter/nothing".to_owned());
    let (looked, typed) =
        (open(world, &unknown, "").await, type_password(world, &unknown, &used.password).await);
    assert!(looked.status == 403 && looked.text().contains("cannot be used"), "{looked}");
    for card in [&used, &superseded, &withdrawn, &foreign, &malformed] {
        let page = open(world, card, "").await;
        assert_eq!(words(&page).0, 403);
        let same = |reply: &Reply, path: &str| words(reply).1.replace(path, "");
        assert_eq!(same(&page, &card.path), same(&looked, &unknown.path));
        for password in [&card.password, "0000000000", "x"] {
            let page = type_password(world, card, password).await;
            assert_eq!(words(&page), words(&typed), "{}", card.path);
        }
    }
}

#[tokio::test]
async fn withdrawn_card_and_disabled_holder_stop_a_registration_under_way() {
    let house = House::shared().await;
    let world = &house.world;
    for stop in ["withdraw", "disable", "another browser"] {
        let doctor = house.doctor(Validity::CURRENT).await;
        let sheets = issue(world, &doctor.holder_id).await;
        let cookie = log_in(world, &sheets).await;
        let asked = post(world, &sheets, &cookie, "options", &json!({})).await.expect(200).json();
        let registrar = &world.pki.registrar;
        match stop {
            "withdraw" => {
                let line = format!("DELETE /letters/{}", sheets.letter_id);
                admin::ask(world, registrar, &line, None).await.expect(200);
            }
            "disable" => {
                let line = format!("POST /holders/{}/disable", doctor.holder_id);
                admin::ask(world, registrar, &line, None).await.expect(200);
            }
            _ => drop(log_in(world, &sheets).await),
        }
        let created = new_phone(world).create(&asked["options"].to_string()).unwrap();
        let credential: Value = serde_json::from_str(&created).unwrap();
        let body = json!({ "ceremony_id": asked["ceremony_id"], "credential": credential });
        let told = post(world, &sheets, &cookie, "finish", &body).await;
        assert!(told.status == 403 && told.json()["state"] == "end", "{stop}: {told}");
        assert!(house.devices(&doctor).await.is_empty(), "{stop}");
    }
}

#[tokio::test]
async fn holder_whose_entitlement_is_over_registers_nothing() {
    let house = House::shared().await;
    let world = &house.world;
    let doctor = house.doctor(Validity::CURRENT).await;
    let sheets = issue(world, &doctor.holder_id).await;
    let line = format!("POST /keys/{}/revoke", doctor.credential_id);
    admin::ask(world, &world.pki.registrar, &line, None).await.expect(200);
    let refused = type_password(world, &sheets, &sheets.password).await;
    assert!(refused.text().contains("no certificate to sign with"), "F32: {refused}");
    assert!(refused.header("set-cookie").is_empty());
}

#[tokio::test]
async fn try_stays_counted_over_kill_9_between_count_and_answer() {
    let house = House::new(Plan { shim: true, ..Plan::default() }).await;
    let doctor = house.doctor(Validity::CURRENT).await;
    let mut world = house.world;
    let sheets = issue(&world, &doctor.holder_id).await;
    let unfetched = world.new_doctor(Validity::CURRENT).await.holder_id;
    let unfetched = issue_unfetched(&world, &unfetched).await;
    for tries in 1..=5_u64 {
        // The token takes its time over the MAC: the count is durable, the answer is not there.
        world.shim("C_Sign sleep 60000ms\nC_SignInit sleep 60000ms\n");
        let trying = type_password(&world, &sheets, &sheets.password);
        let counted = async {
            loop {
                let left = letter(&world, &doctor.holder_id).await["tries_left"].as_u64().unwrap();
                if left == 5 - tries {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            reply = trying => panic!("answered: {reply}"),
            () = counted => {}
            () = tokio::time::sleep(Duration::from_secs(30)) => panic!("not counted"),
        }
        world.daemon.kill();
        world.shim("");
        world.restart();
    }
    let late = type_password(&world, &sheets, &sheets.password).await;
    assert!(late.status == 403 && late.text().contains("registration is locked"), "{late}");
    assert_eq!(letter(&world, &doctor.holder_id).await["state"], "locked");
    // A registration that the right password began goes on over a restart.
    let other = world.new_doctor(Validity::CURRENT).await.holder_id;
    let going_on = issue(&world, &other).await;
    let cookie = log_in(&world, &going_on).await;
    world.daemon.kill();
    world.restart();
    prove(&world, &going_on, &cookie, &mut new_phone(&world)).await.expect(200);
    // What nobody fetched is gone with the process that had it.
    let line = format!("POST /letters/{unfetched}/sheet");
    let gone = admin::ask(&world, &world.pki.registrar, &line, None).await;
    assert!(gone.text().contains("started again"), "{gone}");
    gone.expect_problem(409, "conflict");
}

#[tokio::test]
async fn passwords_from_one_address_are_limited_whatever_their_card() {
    let tune = |settings: &mut Settings| {
        settings.more = "[limits]\nphones_per_minute_of_address = 3\n".to_owned();
    };
    let house = House::new(Plan { tune, ..Plan::default() }).await;
    let doctor = house.doctor(Validity::CURRENT).await;
    let sheets = issue(&house.world, &doctor.holder_id).await;
    let path = format!("/letter/{}.{}", "0".repeat(32), "A".repeat(43));
    let unknown = Sheets { path, ..sheets.clone() };
    for _ in 0..3 {
        type_password(&house.world, &unknown, &unknown.password).await.expect(403);
    }
    let limited = type_password(&house.world, &sheets, &sheets.wrong()).await.expect(429);
    assert!(!limited.header("retry-after").is_empty());
    assert_eq!(letter(&house.world, &doctor.holder_id).await["tries_left"], 5);
}

#[tokio::test]
async fn card_is_over_after_its_days_and_an_unfetched_sheet_after_one() {
    let Some((world, clock)) = with_clock().await else { return };
    let doctor = world.new_doctor(Validity::CURRENT).await;
    let other = world.new_doctor(Validity::CURRENT).await;
    let sheets = issue(&world, &doctor.holder_id).await;
    let unfetched = issue_unfetched(&world, &other.holder_id).await;
    clock.set("+25h");
    let line = format!("POST /letters/{unfetched}/sheet");
    let gone = admin::ask(&world, &world.pki.registrar, &line, None).await;
    gone.expect_problem(409, "conflict");
    open(&world, &sheets, "").await.expect(200);
    clock.set("+31d");
    let over = open(&world, &sheets, "").await;
    assert!(over.status == 403 && over.text().contains("cannot be used"), "{over}");
    type_password(&world, &sheets, &sheets.password).await.expect(403);
    assert_eq!(letter(&world, &doctor.holder_id).await["state"], "expired");
}

#[tokio::test]
async fn command_line_issues_lists_prints_and_withdraws() {
    let house = House::shared().await;
    let world = &house.world;
    let doctor = house.doctor(Validity::CURRENT).await;
    let inkan = |operator: &tests::support::pki::Pair, arguments: &[&str]| {
        let (cert, key) = (operator.certificate.to_str().unwrap(), operator.key.to_str().unwrap());
        let output = world.inkan(&[arguments, &["--cert", cert, "--key", key]].concat());
        let all = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(all).unwrap())
    };
    let (registrar, officer2) = (&world.pki.registrar, &world.pki.officer2);
    let (is_done, said) = inkan(registrar, &["letter", "issue", &doctor.holder_id]);
    assert!(is_done && said.contains("inkan approve p-"), "{said}");
    let proposal = said.split("inkan approve ").nth(1).unwrap().trim();
    let (is_done, said) = inkan(officer2, &["approve", proposal, "--yes"]);
    assert!(is_done && said.contains("inkan letter sheet"), "{said}");
    let letter_id =
        letter(world, &doctor.holder_id).await["letter_id"].as_str().unwrap().to_owned();
    let (_, said) = inkan(registrar, &["letter", "list"]);
    assert!(said.contains(&format!("registrar types  inkan letter sheet {letter_id}")), "{said}");
    let file = world.folder.join("sheets");
    std::fs::create_dir_all(&file).unwrap();
    let file = file.join(format!("{letter_id}.html"));
    let out = ["letter", "sheet", &letter_id, "--out", file.to_str().unwrap()];
    // Not theirs: no file is left behind.
    let (is_done, said) = inkan(&world.pki.officer, &out);
    assert!(!is_done && said.contains("its sheets are for") && !file.exists(), "{said}");
    let (is_done, said) = inkan(registrar, &out);
    assert!(is_done && said.contains("cannot be had again"), "{said}");
    let page = std::fs::read_to_string(&file).unwrap();
    assert!(page.contains("<svg") && page.contains("/letter/") && page.contains(&doctor.holder_id));
    let (is_done, said) = inkan(officer2, &["letter", "sheet", &letter_id]);
    assert!(is_done && said.contains("password"), "{said}");
    let (is_done, said) = inkan(officer2, &["letter", "withdraw", &letter_id]);
    assert!(is_done && said.contains("withdraw"), "{said}");
    assert_eq!(letter(world, &doctor.holder_id).await["state"], "withdrawn");
}
