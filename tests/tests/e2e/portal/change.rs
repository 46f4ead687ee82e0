//! F25: the old phone gives itself up for the new one.

use super::house::House;
use super::house::Pc;
use tests::support::pki::Validity;
use tests::support::world::Plan;

#[tokio::test]
async fn f25_old_phone_gives_itself_up_for_the_new_one() {
    let house = House::without_wait().await;
    let (doctor, mut old) = house.doctor_with_phone().await;
    let session = house.sign_in(&doctor, &mut old).await;
    let before = house.devices(&doctor).await;
    let pc = house.begin_change(&doctor.holder_id).await;
    let told = house.approve(&pc, &mut old).await.expect(200).json();
    assert_eq!(told["title"], "処理が完了しました");
    assert!(house.page_goes_on(&pc).await);
    let page = house.page(&pc).await.expect(200).text();
    assert!(page.contains("Give it up and register another?"), "{page}");
    let label = before[0]["label"].as_str().unwrap();
    assert!(page.contains(label) && page.contains(&doctor.holder_id), "{page}");
    let next = Pc::at(&house.answer_change(&pc, "approve").await);
    // Until the new one is proved the old one works, and the answer counts once.
    assert_eq!(house.answer_change(&pc, "approve").await.status, 403);
    assert_eq!(house.devices(&doctor).await[0]["device"], before[0]["device"]);
    house.sign_in(&doctor, &mut old).await;
    let mut new = house.new_phone();
    let first = house.shown(&next).await;
    house.prove_new(&next, &mut new).await.expect(200);
    // The new one is proved and registered nowhere: the old one is asked once more, by another code.
    assert_eq!(house.devices(&doctor).await[0]["device"], before[0]["device"]);
    house.sign_in(&doctor, &mut old).await;
    let page = house.page(&next).await.expect(200).text();
    assert!(page.contains("Confirm once more with the phone you have now"), "{page}");
    assert_ne!(house.shown(&next).await, first);
    assert_eq!(house.finish(&first.0, "none", "{}").await.status, 403);
    let told = house.approve(&next, &mut old).await.expect(200).json();
    assert!(told["title"].as_str().unwrap().contains("変更が完了しました"), "{told}");
    assert!(house.page(&next).await.expect(200).text().contains("The phone is registered"));
    let after = house.devices(&doctor).await;
    assert_eq!((after.len(), &after[0]["enrolled_by"]), (1, &"fido2".into()));
    assert_ne!(after[0]["device"], before[0]["device"]);
    assert_eq!(house.clinic().state(&session.session_id).await, "ended");
    house.sign_in(&doctor, &mut new).await;
    let confirmed = house.records(&doctor, "enrolment_confirmed").await.pop().unwrap();
    assert_eq!(confirmed["event"]["method"], "fido2");
    let said = confirmed["event"]["evidence_json"].as_str().unwrap();
    assert!(said.contains("\"purpose\":\"confirm_phone\"") && said.contains("new_key"), "{said}");
    let evidence = house.records(&doctor, "enrolment_started").await;
    let proof = &evidence.last().unwrap()["event"];
    assert_eq!(proof["method"], "fido2");
    // The log leads from the old phone's proof to the new phone.
    let proposed = house.records(&doctor, "trust_proposed").await;
    let agreed = proposed.iter().rfind(|record| record["event"]["change"] == "removed").unwrap();
    let detail = agreed["event"]["detail"].as_str().unwrap();
    let change = proof["ticket"].as_str().unwrap();
    assert!(detail.starts_with(&format!("change {change} goes on as ticket ")), "{agreed}");
    let granted = house.records(&doctor, "trust_changed").await;
    let ticket = detail.rsplit(' ').next().unwrap();
    assert!(granted.iter().any(|one| one.to_string().contains(ticket)), "{granted:?}");
}

#[tokio::test]
async fn holder_who_says_no_on_either_screen_keeps_the_old_phone() {
    let house = House::without_wait().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let pc = house.begin_change(&doctor.holder_id).await;
    house.approve(&pc, &mut phone).await.expect(200);
    let no = house.answer_change(&pc, "deny").await.expect(200);
    assert!(no.text().contains("Nothing was changed"), "{no}");
    assert_eq!(house.answer_change(&pc, "approve").await.status, 403);
    let pc = house.begin_change(&doctor.holder_id).await;
    let (link, _) = house.shown(&pc).await;
    house.deny(&link).await.expect(200);
    assert_eq!(house.page(&pc).await.status, 403);
    house.sign_in(&doctor, &mut phone).await;
}

/// Somebody else's phone was quicker, or nobody asks the old one again: it stays, also over a restart.
#[tokio::test]
async fn old_phone_that_is_not_asked_again_or_says_no_stays() {
    let tune = |settings: &mut tests::support::config::Settings| {
        settings.more.push_str("[factors]\nwait_seconds = 0\n");
    };
    let mut house = House::new(Plan { tune, ..Plan::default() }).await;
    let (doctor, mut old) = house.doctor_with_phone().await;
    let before = house.devices(&doctor).await[0]["device"].clone();
    let pc = house.begin_change(&doctor.holder_id).await;
    house.approve(&pc, &mut old).await.expect(200);
    let next = Pc::at(&house.answer_change(&pc, "approve").await);
    let mut new = house.new_phone();
    house.prove_new(&next, &mut new).await.expect(200);
    house.world.daemon.stop(std::time::Duration::from_secs(20));
    house.world.restart();
    assert_eq!(house.devices(&doctor).await[0]["device"], before);
    // Another phone cannot confirm.
    let (link, number) = house.shown(&next).await;
    let question = house.ask(&link, &number.unwrap()).await;
    let answer = new.get(&question.options.to_string()).unwrap();
    assert_eq!(house.finish(&link, &question.ceremony_id, &answer).await.status, 403);
    house.deny(&link).await.expect(200);
    assert_eq!(house.page(&next).await.status, 403);
    assert_eq!(house.devices(&doctor).await[0]["device"], before);
    house.sign_in(&doctor, &mut old).await;
}

/// Unknown ids, and holders without a phone, look alike to whoever types them.
#[tokio::test]
async fn unknown_holder_id_gets_an_equal_question_and_denial() {
    let house = House::without_wait().await;
    let (doctor, _) = house.doctor_with_phone().await;
    let without = house.doctor(Validity::CURRENT).await;
    let mut stranger = house.new_phone();
    let mut seen = Vec::new();
    for holder in [doctor.holder_id.as_str(), "nobody-at-all", &without.holder_id] {
        let pc = house.begin_change(holder).await;
        let (link, number) = house.shown(&pc).await;
        let question = house.ask(&link, &number.unwrap()).await;
        let asked = question.options["publicKey"]["allowCredentials"].as_array().unwrap().len();
        let answer = stranger.get(&question.options.to_string()).unwrap();
        let refused = house.finish(&link, &question.ceremony_id, &answer).await;
        assert_eq!(house.answer_change(&pc, "approve").await.status, 403);
        seen.push((asked, refused.status, refused.json()["title"].clone()));
    }
    assert!(seen.iter().all(|other| *other == seen[0]) && seen[0].1 == 403, "{seen:?}");
}

#[tokio::test]
async fn change_by_phone_that_is_turned_off_is_neither_offered_nor_begun() {
    let tune = |settings: &mut tests::support::config::Settings| {
        settings.more.push_str("[factors]\nwait_seconds = 0\nchange_by_phone = false\n");
    };
    let off = House::new(Plan { tune, ..Plan::default() }).await;
    let page = off.get("/?lang=en").await.expect(200).text();
    assert!(!page.contains("action=\"/change\""), "{page}");
    let (doctor, _) = off.doctor_with_phone().await;
    off.post_form("/change", &format!("holder_id={}", doctor.holder_id)).await.expect(403);
    let page = House::without_wait().await.get("/?lang=en").await.expect(200).text();
    assert!(page.contains("action=\"/change\""), "{page}");
}

/// Anybody may begin a change or a sign-in for a page: from one address a few a minute, and signing systems' go on.
#[tokio::test]
async fn changes_pages_and_their_questions_from_one_address_are_limited_and_sign_ins_go_on() {
    let tune = |settings: &mut tests::support::config::Settings| {
        settings.more.push_str("[limits]\nwithout_link_per_minute_of_address = 3\n");
    };
    let house = House::new(Plan { tune, ..Plan::default() }).await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let pc = house.begin_change("nobody-1").await;
    let (link, number) = house.shown(&pc).await;
    for _ in 0..3 {
        house.ask(&link, number.as_deref().unwrap()).await;
    }
    let limited = house.type_number(&link, number.as_deref().unwrap()).await;
    assert_eq!(limited.status, 429, "{limited}");
    house.begin_change("nobody-2").await;
    house.post_form("/me/sign-in", "").await.expect(303);
    let limited = house.post_form("/me/sign-in", "").await.expect(429);
    assert!(!limited.header("retry-after").is_empty());
    house.post_form("/change", "holder_id=nobody-3").await.expect(429);
    house.sign_in(&doctor, &mut phone).await;
}

/// Whoever had the phone registered an hour ago does not get further with it today.
#[tokio::test]
async fn phone_registered_today_changes_nothing_and_its_holder_is_told_when() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let pc = house.begin_change(&doctor.holder_id).await;
    let refused = house.approve(&pc, &mut phone).await;
    // A whole day, to the second, or less.
    let told = refused.text();
    let is_told_when = told.contains("あと24時間") || told.contains("あと23時間");
    assert!(refused.status == 403 && is_told_when, "{refused}");
    assert!(house.page_goes_on(&pc).await, "the PC does not count down for nothing");
    assert_eq!(house.page(&pc).await.status, 403);
    assert!(!house.devices(&doctor).await[0]["last_used_at"].is_null(), "the use is noted");
    assert_eq!(house.answer_change(&pc, "approve").await.status, 403);
    // The card waits for nothing.
    house.enrol(&doctor.card, &mut house.new_phone()).await.expect(200);
}
