//! What ends a holder's own page besides the holder: the fall of what it rests on, and an operator's word.

use super::house::House;
use std::time::Duration;
use tests::support::admin;
use tests::support::pki::Validity;
use tests::support::world::Plan;

/// A house that looks at its lists every second.
async fn attentive() -> House {
    let tune = |settings: &mut tests::support::config::Settings| settings.crl_refresh_seconds = 1;
    House::new(Plan { tune, ..Plan::default() }).await
}

#[tokio::test]
async fn page_closes_when_the_card_that_opened_it_is_revoked_and_no_other_does() {
    let house = &attentive().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let by_card = house.me_by_card(&doctor).await;
    let by_phone = house.me_by_phone(&doctor, &mut phone).await;
    let other = house.me_by_card(&house.doctor(Validity::CURRENT).await).await;
    let token = by_card.form_token(house).await;
    house.world.pki.hpki_auth.write_crl(2, &[&doctor.card], time::Duration::days(4));
    for _second in 0..20 {
        if !by_card.is_open(house).await {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(!by_card.is_open(house).await, "the card is revoked");
    assert!(by_phone.is_open(house).await && other.is_open(house).await);
    // A form that was loaded before does nothing any more.
    let form = format!("form_token={token}&action=sign_out_everywhere");
    let sent = house.post_with(&by_card.cookie, "/me", &form).await.expect(303);
    assert!(sent.header("location").starts_with("/me"), "{sent}");
    assert!(by_phone.is_open(house).await, "it signed out everywhere");
}

#[tokio::test]
async fn operator_who_ends_every_session_of_a_holder_closes_their_pages_too() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let other = house.me_by_card(&house.doctor(Validity::CURRENT).await).await;
    let pages = [house.me_by_card(&doctor).await, house.me_by_phone(&doctor, &mut phone).await];
    let waiting = house.approve_me_by_card(&doctor.card).await;
    let line = format!("DELETE /holders/{}/sessions", doctor.holder_id);
    admin::ask(&house.world, &house.world.pki.registrar, &line, None).await.expect(200);
    for page in &pages {
        assert!(!page.is_open(house).await);
    }
    house.get_with(&waiting.begun, &waiting.arrive).await.expect(403);
    assert!(other.is_open(house).await);
    // It took nothing away: the holder signs in again.
    assert!(house.me_by_card(&doctor).await.is_open(house).await);
}
