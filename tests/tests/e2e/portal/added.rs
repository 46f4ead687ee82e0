//! The next sign-ins show what was added, and nobody sees it before they are proved.

use super::house::House;
use serde_json::Value;
use tests::support::doctor::Doctor;
use tests::support::world::Plan;

/// What the doctor's HPKI card sees before it signs in.
pub async fn card_page(house: &House, doctor: &Doctor) -> String {
    let pending = house.clinic().ask_sign_in(Some(&doctor.holder_id)).await;
    let mut browser = house.world.portal().browser(Some(&doctor.card)).await;
    browser.open(&pending.login_path).await.reply.expect(200).text()
}

#[tokio::test]
async fn sign_ins_by_card_and_by_phone_show_the_phone_that_was_added() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let label = house.devices(&doctor).await[0]["label"].as_str().unwrap().to_owned();
    let page = card_page(house, &doctor).await;
    assert!(page.contains(&label) && page.contains("127.0.0.1"), "{page}");

    let pending = house.clinic().ask_sign_in(Some(&doctor.holder_id)).await;
    let pc = house.hand_off(&pending, None).await;
    let (link, _) = house.shown(&pc).await;
    let before = house.phone_page(&link).await.expect(200).text();
    assert!(!before.contains(&label), "nobody is proved yet: {before}");
    let told: Value = house.approve(&pc, &mut phone).await.expect(200).json();
    assert!(told["lines"].to_string().contains(&label), "{told}");
}

#[tokio::test]
async fn sign_ins_show_the_my_number_card_that_was_added() {
    let house = House::shared().await;
    let (doctor, card) = house.doctor_with_my_number().await;
    let by_hpki = card_page(house, &doctor).await;
    let pending = house.ask_my_number(Some(&doctor.holder_id)).await;
    let by_itself = house.my_number_page(&pending, &card).await.expect(200).text();
    for page in [by_hpki, by_itself] {
        let shown = page.split("<section id=\"added\">").nth(1).unwrap_or_else(|| panic!("{page}"));
        let shown = shown.split("</section>").next().unwrap();
        assert!(shown.contains("My Number card") && shown.contains("127.0.0.1"), "{shown}");
    }
}

#[tokio::test]
async fn phone_added_longer_ago_than_the_configuration_says_is_not_shown() {
    let tune = |settings: &mut tests::support::config::Settings| {
        settings.more.push_str("[factors]\nshow_seconds = 1\n");
    };
    let house = House::new(Plan { tune, ..Plan::default() }).await;
    let (doctor, _) = house.doctor_with_phone().await;
    let label = house.devices(&doctor).await[0]["label"].as_str().unwrap().to_owned();
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let page = card_page(&house, &doctor).await;
    assert!(page.contains("form_token") && !page.contains(&label), "{page}");
}
