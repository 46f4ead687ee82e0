//! Signing in before the asking PC's own screen, by a phone that its browser reaches.

use super::house::House;
use super::house::Pc;
use attest::evidence::Fido2Evidence;
use attest::evidence::RelyingParty;
use serde_json::json;
use tests::support::http::Reply;
use tests::support::world::RETURN_URL;

#[tokio::test]
async fn registered_phone_signs_in_at_the_pc_without_a_number() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    phone.attachment = Some("cross-platform");
    let pending = house.clinic().ask_sign_in(Some(&doctor.holder_id)).await;
    let pc = house.hand_off_here(&pending, None).await;
    let page = house.key_page(&pc).await.expect(200).text();
    assert!(page.contains("外来") && page.contains(&doctor.holder_id), "{page}");
    assert!(!page.contains("id=\"number\""), "{page}");
    let told = house.approve_here(&pc, &mut phone, &json!({})).await.expect(200).json();
    // The phone is new, so its holder reads of it before going on.
    assert_eq!(told["state"], "end", "{told}");
    let code = house.code(&pc).await;
    let active = house.clinic().activate(&pending.session_id, &code).await.expect(200).json();
    assert_eq!(active["method"], "fido2");
}

/// The log says before which screen, before anybody could approve it, and the evidence says the same.
#[tokio::test]
async fn evidence_is_bound_as_a_phone_s_and_names_the_screen() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    phone.attachment = Some("cross-platform");
    let pending = house.clinic().ask_sign_in(Some(&doctor.holder_id)).await;
    let pc = house.hand_off_here(&pending, None).await;
    house.approve_here(&pc, &mut phone, &json!({})).await.expect(200);
    let asked = house.records(&doctor, "sign_in_asked").await;
    let approved = house.records(&doctor, "sign_in_approved").await;
    assert!(asked[0]["seq"].as_u64() < approved[0]["seq"].as_u64());
    assert_eq!(asked[0]["event"]["binding"]["surface"], "pc");
    let json = approved[0]["event"]["evidence_json"].as_str().unwrap();
    let evidence: Fido2Evidence = serde_json::from_str(json).unwrap();
    evidence.check(&RelyingParty::new(&house.origin(), "Inkan").unwrap()).unwrap();
    assert_eq!(serde_json::to_value(&evidence.approved).unwrap(), asked[0]["event"]["binding"]);
}

#[tokio::test]
async fn what_is_built_into_the_pc_signs_nobody_in() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let pending = house.clinic().ask_sign_in(Some(&doctor.holder_id)).await;
    let pc = house.hand_off_here(&pending, None).await;
    let told = house.approve_here(&pc, &mut phone, &json!({})).await;
    assert_eq!((told.status, &told.json()["state"]), (403, &json!("again")));
    let denied = house.records(&doctor, "sign_in_denied").await;
    assert!(denied[0].to_string().contains("fido2_built_in"), "{denied:#?}");
    phone.attachment = Some("cross-platform");
    house.approve_here(&pc, &mut phone, &json!({})).await.expect(200);
}

/// What stands on another screen is typed here, too: five wrong numbers end the sign-in.
#[tokio::test]
async fn number_of_the_asking_screen_is_typed_at_the_pc() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    phone.attachment = Some("cross-platform");
    let wanted = json!({ "holder": doctor.holder_id });
    let ask = async || house.clinic().ask_sign_in_with(&wanted).await;
    let pending = ask().await;
    let pc = house.hand_off_here(&pending, None).await;
    assert!(house.key_page(&pc).await.expect(200).text().contains("id=\"number\""));
    for pressed in [json!({}), json!({ "number": "0" })] {
        let told = house.approve_here(&pc, &mut phone, &pressed).await;
        assert_eq!((told.status, &told.json()["types_again"]), (403, &json!(true)));
    }
    let number = pending.number.clone().unwrap();
    house.approve_here(&pc, &mut phone, &json!({ "number": number })).await.expect(200);
    house.clinic().activate(&pending.session_id, &number).await.expect(200);
    let pc = house.hand_off_here(&ask().await, None).await;
    for left in (0..5).rev() {
        let told = house.approve_here(&pc, &mut phone, &json!({ "number": "0" })).await.json();
        assert_eq!(told["state"], if left == 0 { "end" } else { "again" }, "{told}");
    }
}

/// Only the browser with the page has it; another page's secret opens nothing.
#[tokio::test]
async fn browser_without_the_page_is_told_nothing() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    phone.attachment = Some("cross-platform");
    let pending = house.clinic().ask_sign_in(Some(&doctor.holder_id)).await;
    let (own, other) =
        (house.hand_off_here(&pending, None).await, house.hand_off_here(&pending, None).await);
    let stranger = Pc { id: own.id.clone(), ..other };
    assert_eq!(house.key_page(&stranger).await.status, 403);
    assert_eq!(house.approve_here(&stranger, &mut phone, &json!({})).await.status, 403);
    let nothing = json!({ "ceremony_id": "0", "credential": {} });
    assert_eq!(house.post_here(&stranger, "finish", &nothing).await.status, 403);
    house.approve_here(&own, &mut phone, &json!({})).await.expect(200);
    // Used: the page goes on and this way is over.
    assert_eq!(house.approve_here(&own, &mut phone, &json!({})).await.status, 403);
}

/// Nobody learns who is registered: a stranger's id has the same page, the same question and the same end.
#[tokio::test]
async fn id_that_nobody_has_looks_like_any_other() {
    let house = House::shared().await;
    let (doctor, _) = house.doctor_with_phone().await;
    let mut phone = house.new_phone();
    phone.attachment = Some("cross-platform");
    let wanted = json!({ "return_url": RETURN_URL });
    let mut told: Vec<Reply> = Vec::new();
    for holder in [doctor.holder_id.as_str(), "nobody-at-all"] {
        let pending = house.clinic().ask_sign_in_with(&wanted).await;
        let pc = house.hand_off_here(&pending, Some(holder)).await;
        house.key_page(&pc).await.expect(200);
        told.push(house.approve_here(&pc, &mut phone, &json!({})).await);
    }
    assert_eq!((told[0].status, told[0].json()), (told[1].status, told[1].json()));
    assert_eq!(told[0].status, 403);
}
