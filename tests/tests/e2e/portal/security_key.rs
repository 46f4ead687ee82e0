//! Security keys: registered by the card at the PC itself, used there, removed apart from the phone.

use super::house::House;
use attest::authenticator::MAX_SECURITY_KEYS;
use attest::danger_testing::SoftPhone;
use attest::qr_link::PageSecret;
use attest::sign_in::link_token;
use serde_json::json;
use tests::support::admin;
use tests::support::doctor::Doctor;
use tests::support::ehr::Session;
use tests::support::pki::Validity;

impl House {
    pub fn new_key(&self) -> SoftPhone {
        self.new_phone().security_key()
    }

    /// The whole way with a key at the PC.
    async fn sign_in_here(&self, doctor: &Doctor, key: &mut SoftPhone) -> Session {
        let pending = self.clinic().ask_sign_in(Some(&doctor.holder_id)).await;
        let pc = self.hand_off_here(&pending, None).await;
        self.approve_here(&pc, key, &json!({})).await.expect(200);
        let code = self.code(&pc).await;
        let answer = self.clinic().activate(&pending.session_id, &code).await.expect(200).json();
        let token = answer["signing_token"].as_str().unwrap().to_owned();
        Session { session_id: pending.session_id, token, answer }
    }

    async fn kinds(&self, doctor: &Doctor) -> Vec<String> {
        let devices = self.devices(doctor).await;
        devices.iter().map(|device| device["kind"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn key_registered_by_the_card_stands_beside_the_phone_and_signs_in() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let mut key = house.new_key();
    house.enrol_key(&doctor.card, &mut key).await;
    let mut kinds = house.kinds(&doctor).await;
    kinds.sort();
    assert_eq!(kinds, ["phone", "security_key"]);
    let listed = house.world.inkan(&["device", "list", "--holder", &doctor.holder_id]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("security key"), "{listed:?}");
    let session = house.sign_in_here(&doctor, &mut key).await;
    assert_eq!(session.answer["method"], "fido2");
    // The next sign-in shows what was added, whatever it is made with.
    let pending = house.clinic().ask_sign_in(Some(&doctor.holder_id)).await;
    let pc = house.hand_off(&pending, None).await;
    let told = house.approve(&pc, &mut phone).await.expect(200).text();
    assert!(told.contains("セキュリティキー") || told.contains("security key"), "{told}");
}

#[tokio::test]
async fn key_is_registered_when_the_card_is_shown_again_and_not_before() {
    let house = House::shared().await;
    let doctor = house.doctor(Validity::CURRENT).await;
    let other = house.doctor(Validity::CURRENT).await;
    let pc = house.begin_key(&doctor.card).await;
    let page = house.page(&pc).await;
    let here = format!("/wait/{}/key?lang=en", pc.id);
    assert_eq!((page.status, page.header("location")), (303, here.as_str()));
    let shown = house.key_page(&pc).await.expect(200).text();
    assert!(shown.contains("Register a security key?") && shown.contains(&doctor.holder_id));
    house.approve_here(&pc, &mut house.new_key(), &json!({})).await.expect(200);
    let page = house.page(&pc).await.expect(200).text();
    assert!(page.contains("Your security key is confirmed"), "{page}");
    assert!(house.devices(&doctor).await.is_empty());
    house.confirm_enrolment(&pc, &other.card, "approve").await;
    assert!(house.devices(&doctor).await.is_empty(), "by another card");
    house.confirm_enrolment(&pc, &doctor.card, "approve").await.expect(200);
    assert_eq!(house.kinds(&doctor).await, ["security_key"]);
    let granted = house.records(&doctor, "trust_changed").await;
    assert!(granted.iter().any(|record| record.to_string().contains("a security key registered")));
}

#[tokio::test]
async fn what_is_built_in_or_a_phone_is_registered_as_no_key() {
    let house = House::shared().await;
    let doctor = house.doctor(Validity::CURRENT).await;
    let pc = house.begin_key(&doctor.card).await;
    let mut hybrid = house.new_phone();
    (hybrid.attachment, hybrid.transports) = (Some("cross-platform"), vec!["hybrid"]);
    for mut wrong in [house.new_phone(), hybrid] {
        let told = house.approve_here(&pc, &mut wrong, &json!({})).await;
        assert_eq!((told.status, &told.json()["state"]), (403, &json!("end")), "{told}");
        assert!(told.text().contains("Only a security key"), "{told}");
    }
    // The page goes on with what it asked for.
    let told = house.approve_here(&pc, &mut house.new_key(), &json!({})).await.expect(200);
    assert_eq!(told.json()["state"], "go_on");
}

#[tokio::test]
async fn as_many_keys_as_allowed_and_the_card_says_so() {
    let house = House::shared().await;
    let doctor = house.doctor(Validity::CURRENT).await;
    // Begun while there was a place, confirmed when there is none.
    let late = house.begin_key(&doctor.card).await;
    house.approve_here(&late, &mut house.new_key(), &json!({})).await.expect(200);
    for _ in 0..MAX_SECURITY_KEYS {
        house.enrol_key(&doctor.card, &mut house.new_key()).await;
    }
    let full = house.confirm_enrolment(&late, &doctor.card, "approve").await;
    assert!(full.status == 409 && full.text().contains("as many security keys"), "{full}");
    let page = house.enrol_key_page(&doctor.card).await;
    assert!(page.status == 409 && page.text().contains("as many security keys"), "{page}");
    // A phone has its own place.
    house.enrol(&doctor.card, &mut house.new_phone()).await.expect(200);
    let devices = house.devices(&doctor).await;
    let key = devices.iter().find(|device| device["kind"] == "security_key").unwrap();
    let line = format!("DELETE /devices/{}", key["device"].as_str().unwrap());
    admin::ask(&house.world, &house.world.pki.registrar, &line, None).await.expect(200);
    house.enrol_key(&doctor.card, &mut house.new_key()).await;
}

/// A security key is registered at the PC that the card is at: no phone elsewhere follows a link to it.
#[tokio::test]
async fn page_of_a_key_has_no_link_and_only_its_browser_goes_on() {
    let house = House::shared().await;
    let doctor = house.doctor(Validity::CURRENT).await;
    let (pc, other) = (house.begin_key(&doctor.card).await, house.begin_key(&doctor.card).await);
    let secret = PageSecret::parse(pc.cookie.split_once('=').unwrap().1).unwrap();
    let link = link_token(&pc.id, &secret.link_secret());
    assert_eq!(house.phone_page(&link).await.status, 403);
    assert_eq!(house.type_number(&link, &secret.number()).await.status, 403);
    let stranger = super::house::Pc { cookie: other.cookie.clone(), ..pc.clone() };
    assert_eq!(house.key_page(&stranger).await.status, 403);
    let told = house.approve_here(&stranger, &mut house.new_key(), &json!({})).await;
    assert_eq!(told.status, 403);
    house.key_page(&pc).await.expect(200);
    // And a phone's page registers nothing at the PC.
    let for_phone = house.begin_enrolment(&doctor.card).await;
    assert_eq!(house.key_page(&for_phone).await.status, 403);
}

#[tokio::test]
async fn key_removed_ends_what_rests_on_it_and_nothing_else() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let mut key = house.new_key();
    house.enrol_key(&doctor.card, &mut key).await;
    let by_key = house.sign_in_here(&doctor, &mut key).await;
    let by_phone = house.sign_in(&doctor, &mut phone).await;
    // The holder sees both on their own page, and removes the key there.
    let me = house.me_by_card(&doctor).await;
    let page = me.page(house, "/me").await.expect(200).text();
    assert!(page.contains("Security key ") && page.contains("Phone "), "{page}");
    let devices = house.devices(&doctor).await;
    let device = devices.iter().find(|device| device["kind"] == "security_key").unwrap();
    let path = format!("/me/devices/{}", device["device"].as_str().unwrap());
    let asked = me.page(house, &path).await.expect(200).text();
    assert!(asked.contains("Remove this security key?") && asked.contains("<li>Phone "), "{asked}");
    me.press(house, &path, "").await.expect(303);
    assert_eq!(house.kinds(&doctor).await, ["phone"]);
    assert_eq!(house.clinic().state(&by_key.session_id).await, "ended");
    assert_eq!(house.clinic().state(&by_phone.session_id).await, "active");
}

#[tokio::test]
async fn key_is_registered_by_the_my_number_card_and_by_none_that_is_too_new() {
    let house = House::without_wait().await;
    let (doctor, card) = house.doctor_with_my_number().await;
    let mut connection = house.with_my_number(Some(&card)).await;
    let page = connection.get("/enrol-key?lang=en").await;
    let pc = house.allow(connection, &page, "/enrol-key").await;
    house.approve_here(&pc, &mut house.new_key(), &json!({})).await.expect(200);
    house.confirm_by_my_number(&pc, &card).await.expect(200);
    let devices = house.devices(&doctor).await;
    assert_eq!(
        (&devices[0]["kind"], &devices[0]["enrolled_by"]),
        (&json!("security_key"), &json!("jpki"))
    );
    let house = House::shared().await;
    let (_, card) = house.doctor_with_my_number().await;
    let page = house.with_my_number(Some(&card)).await.get("/enrol-key?lang=en").await.expect(403);
    assert!(page.text().contains("It can in 2"), "{page}");
}

/// The question at a PC is the same for everybody, whatever they have.
#[tokio::test]
async fn question_at_a_pc_tells_nobody_who_has_a_key() {
    let house = House::shared().await;
    let (with_both, _) = house.doctor_with_phone().await;
    house.enrol_key(&with_both.card, &mut house.new_key()).await;
    let with_nothing = house.doctor(Validity::CURRENT).await;
    let mut shapes = Vec::new();
    for holder in [with_both.holder_id.as_str(), &with_nothing.holder_id, "nobody-at-all"] {
        let wanted = json!({ "return_url": tests::support::world::RETURN_URL });
        let pending = house.clinic().ask_sign_in_with(&wanted).await;
        let pc = house.hand_off_here(&pending, Some(holder)).await;
        let asked = house.post_here(&pc, "options", &json!({})).await.expect(200).json();
        let allowed = asked.pointer("/options/publicKey/allowCredentials").unwrap();
        let ways = allowed.as_array().unwrap().iter().map(|one| one["transports"].clone());
        shapes.push(ways.collect::<Vec<_>>());
    }
    assert_eq!(shapes[0].len(), 1 + MAX_SECURITY_KEYS);
    assert!(shapes.iter().all(|shape| *shape == shapes[0]), "{shapes:?}");
}
