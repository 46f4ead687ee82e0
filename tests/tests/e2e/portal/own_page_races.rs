//! Signing out everywhere while something begins: whichever comes first, nothing lives behind it.

use super::house::House;

#[tokio::test]
async fn session_that_begins_while_its_holder_signs_out_does_not_live_on() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    for _round in 0..8 {
        let pending = house.clinic().ask_sign_in(Some(&doctor.holder_id)).await;
        let pc = house.hand_off(&pending, None).await;
        house.approve(&pc, &mut phone).await.expect(200);
        let code = house.code(&pc).await;
        let me = house.me_by_card(&doctor).await;
        let (clinic, token) = (house.clinic(), me.form_token(house).await);
        let form = format!("form_token={token}&action=sign_out_everywhere");
        let (activated, signed_out) = tokio::join!(
            clinic.activate(&pending.session_id, &code),
            house.post_with(&me.cookie, "/me", &form),
        );
        signed_out.expect(200);
        let state = clinic.state(&pending.session_id).await;
        assert!(state == "ended" || state == "denied", "{state} after {activated}");
    }
}

#[tokio::test]
async fn one_of_two_browsers_with_the_same_code_opens_the_page() {
    let house = House::shared().await;
    let doctor = house.doctor(tests::support::pki::Validity::CURRENT).await;
    for _round in 0..4 {
        let approved = house.approve_me_by_card(&doctor.card).await;
        let arrive = || house.get_with(&approved.begun, &approved.arrive);
        let both = tokio::join!(arrive(), arrive());
        let mut statuses = [both.0.status, both.1.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [303, 403]);
    }
}
