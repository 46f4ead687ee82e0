//! How often a phone may be asked: to the limit, and once more.

use super::house::House;
use super::house::Pc;
use tests::support::admin;
use tests::support::config::Settings;
use tests::support::world::Plan;

/// Nobody has these ids: the limits hold for them as for others.
#[tokio::test]
async fn pages_and_questions_are_limited_for_a_holder_id_and_pages_for_an_address() {
    let tune = |settings: &mut Settings| {
        let limits = "phones_per_minute = 2\nphones_per_minute_of_address = 4\n";
        settings.more.push_str(&format!("[limits]\n{limits}"));
    };
    let house = House::new(Plan { tune, ..Plan::default() }).await;
    let pending = house.clinic().ask_sign_in(None).await;
    let path = format!("{}/phone", pending.login_path);
    let page = async |id: &str| house.post_form(&path, &format!("holder_id={id}")).await;
    for _ in 0..2 {
        page("first").await.expect(303);
    }
    let past = page("first").await.expect(429);
    assert!(!past.header("retry-after").is_empty(), "{past}");
    // The fourth from this address, the first for this id.
    let pc = Pc::at(&page("second").await);
    let past = page("third").await.expect(429);
    assert!(!past.header("retry-after").is_empty(), "{past}");

    let (link, number) = house.shown(&pc).await;
    let number = number.unwrap();
    for _ in 0..2 {
        house.ask(&link, &number).await;
    }
    let past = house.type_number(&link, &number).await.expect(429).json();
    assert_eq!(past["state"], "again", "{past}");
}

/// Each page over a My Number card asks the HSM for the name of its registration.
#[tokio::test]
async fn pages_over_one_my_number_card_are_limited_and_other_cards_go_on() {
    let tune = |settings: &mut Settings| {
        settings.more.push_str("[limits]\nsign_ins_per_minute = 2\n");
    };
    let house = House::new(Plan { tune, ..Plan::default() }).await;
    // Two pages: the one that asks, and the one that says it is registered.
    let (_, card) = house.doctor_with_my_number().await;
    let pending = house.ask_my_number(None).await;
    let past = house.my_number_page(&pending, &card).await.expect(429);
    assert!(past.text().contains("Wait a minute"), "{past}");
    let query = format!("request={}", past.header("request-id"));
    let records = admin::audit_records(&house.world, &query).await;
    assert_eq!(records[0]["event"]["code"], "too_often", "{records:?}");
    house.doctor_with_my_number().await;
}
