//! From which PCs a phone may be asked, and for how long what it approves is good.

use super::house::House;
use tests::support::config::Settings;
use tests::support::pki::Validity;
use tests::support::world::Plan;

/// The network begins one address past this PC.
#[tokio::test]
async fn pc_outside_the_networks_shows_no_qr_code_and_its_card_goes_on() {
    let tune = |settings: &mut Settings| {
        settings.more.push_str("[factors]\nphone_networks = [\"127.0.0.2/31\", \"::/0\"]\n");
    };
    let house = House::new(Plan { tune, ..Plan::default() }).await;
    let doctor = house.doctor(Validity::CURRENT).await;
    let pending = house.clinic().ask_sign_in(Some(&doctor.holder_id)).await;
    let holder = format!("holder_id={}&lang=en", doctor.holder_id);
    let asked = format!("{}/phone", pending.login_path);
    for (path, form) in [(asked.as_str(), "lang=en"), ("/change", holder.as_str())] {
        let refused = house.post_form(path, form).await;
        assert_eq!(refused.status, 403, "{path}: {refused}");
        let text = refused.text();
        assert!(text.contains("not on a network") && text.contains("use your card"), "{text}");
        assert!(refused.header("set-cookie").is_empty());
    }
    let denied = house.records(&doctor, "sign_in_denied").await;
    assert_eq!(denied.len(), 1, "{denied:?}");
    assert_eq!(denied[0]["event"]["code"], "network_not_allowed");
    house.world.ehr().sign_in(&doctor.card).await;
}

/// The network is this PC alone.
#[tokio::test]
async fn session_that_a_phone_approved_is_cut_and_one_of_a_card_is_not() {
    let tune = |settings: &mut Settings| {
        let factors = "phone_networks = [\"127.0.0.1/32\"]\nphone_session_seconds = 60\n";
        settings.more.push_str(&format!("[factors]\n{factors}"));
    };
    let house = House::new(Plan { tune, ..Plan::default() }).await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let session = house.sign_in(&doctor, &mut phone).await;
    let view = house.clinic().view(&session.session_id).await;
    let left = view["remaining_seconds"].as_u64().unwrap();
    assert!((1..=60).contains(&left), "{view}");
    let ehr = house.world.ehr();
    let by_card = ehr.sign_in(&doctor.card).await;
    let view = ehr.view(&by_card.session_id).await;
    assert!(view["remaining_seconds"].as_u64().unwrap() > 60, "{view}");
}
