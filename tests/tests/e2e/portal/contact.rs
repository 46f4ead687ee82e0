//! Whoever is refused after they proved themselves is told whom to call; nobody else is.

use super::house::House;
use serde_json::json;
use std::time::Duration;
use tests::support::admin;
use tests::support::doctor::Doctor;
use tests::support::http::Reply;
use tests::support::world::Plan;

const CONTACT: &str = "03-1234-5678";

/// A doctor whose certification authority is known.
async fn with_contact(house: &House, doctor: &Doctor) {
    let change = json!({ "ca_contact": CONTACT });
    let line = format!("PATCH /holders/{}", doctor.holder_id);
    admin::grant(&house.world, &line, Some(&change)).await;
}

fn assert_told(page: &Reply, why: &str) {
    let text = page.text();
    assert!(page.status == 403 && text.contains(why) && text.contains(CONTACT), "{page}");
}

#[tokio::test]
async fn holder_who_is_disabled_is_told_whom_to_call_by_every_method() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let card = house.my_number_card(&doctor);
    house.link(&doctor, &card).await.expect(200);
    with_contact(house, &doctor).await;
    let pending = house.clinic().ask_sign_in(Some(&doctor.holder_id)).await;
    let pc = house.hand_off(&pending, None).await;
    let by_my_number = house.ask_my_number(Some(&doctor.holder_id)).await;
    let disable = format!("POST /holders/{}/disable", doctor.holder_id);
    admin::ask(&house.world, &house.world.pki.registrar, &disable, None).await.expect(200);
    let mut browser = house.world.portal().browser(Some(&doctor.card)).await;
    assert_told(&browser.open(&pending.login_path).await.reply, "Your account is disabled");
    assert_told(&house.enrol_page(&doctor.card).await.1, "Your account is disabled");
    assert_told(&house.link_page(&doctor.card).await.1, "Your account is disabled");
    let page = house.my_number_page(&by_my_number, &card).await;
    assert_told(&page, "Your account is disabled");
    assert_told(&house.approve(&pc, &mut phone).await, "利用が停止されています");
    // Who proved nothing is told of nobody.
    let mut browser = house.world.portal().browser(None).await;
    let page = browser.open(&pending.login_path).await.reply;
    assert!(page.status == 403 && !page.text().contains(CONTACT), "{page}");
    let mut browser = house.world.portal().browser(Some(&house.world.pki.unlinked_card)).await;
    let page = browser.open(&pending.login_path).await.reply;
    assert!(page.status == 403 && !page.text().contains(CONTACT), "{page}");
}

#[tokio::test]
async fn holder_whose_card_is_revoked_is_told_whom_to_call() {
    let tune = |settings: &mut tests::support::config::Settings| settings.crl_refresh_seconds = 1;
    let house = House::new(Plan { tune, ..Plan::default() }).await;
    let (doctor, my_number) = house.doctor_with_my_number().await;
    with_contact(&house, &doctor).await;
    let pki = &house.world.pki;
    pki.hpki_auth.write_crl(2, &[&doctor.card], time::Duration::days(4));
    pki.jpki.write_crl(2, &[&my_number], time::Duration::days(4));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let pending = house.clinic().ask_sign_in(Some(&doctor.holder_id)).await;
    let mut browser = house.world.portal().browser(Some(&doctor.card)).await;
    assert_told(&browser.open(&pending.login_path).await.reply, "Your card is revoked");
    assert_told(&house.enrol_page(&doctor.card).await.1, "Your card is revoked");
    let pending = house.ask_my_number(Some(&doctor.holder_id)).await;
    let page = house.my_number_page(&pending, &my_number).await;
    assert_told(&page, "certificate is revoked");
}
