//! What was signed in a holder's name: theirs alone, newest first, a page at a time.

use super::house::House;
use tests::support::ehr::Session;
use tests::support::ehr::Sign;

async fn sign(house: &House, session: &Session, credential: &str, labels: &[String]) {
    let mut connection = house.clinic().connect().await;
    for label in labels {
        let sign = Sign {
            token: &session.token,
            credential: Some(credential),
            headers: format!("Document-Label: {label}\r\n"),
            content: label.as_bytes(),
            ..Sign::default()
        };
        sign.send(&mut connection).await.expect(200);
    }
}

#[tokio::test]
async fn holder_sees_their_own_signatures_newest_first_fifty_a_page() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let (other, mut others_phone) = house.doctor_with_phone().await;
    let (session, others) =
        (house.sign_in(&doctor, &mut phone).await, house.sign_in(&other, &mut others_phone).await);
    let me = house.me_by_card(&doctor).await;
    let page = me.page(house, "/me/signatures").await.expect(200).text();
    assert!(page.contains("Nothing was signed"), "{page}");

    let labels: Vec<String> = (0..52).map(|number| format!("letter-{number}.")).collect();
    sign(house, &session, &doctor.credential_id, &labels[..26]).await;
    sign(house, &others, &other.credential_id, &["somebody-elses".to_owned()]).await;
    sign(house, &session, &doctor.credential_id, &labels[26..]).await;
    let page = me.page(house, "/me/signatures").await.expect(200).text();
    let at = |label: &str| page.find(&format!("<h2>{label}</h2>"));
    let places: Vec<_> = labels.iter().rev().map(|label| at(label)).collect();
    assert!(places[..50].iter().all(Option::is_some) && places[..50].is_sorted(), "{page}");
    assert_eq!(places[50..], [None, None]);
    assert!(!page.contains("somebody-elses") && page.contains("外来") && page.contains("phone"));

    let older = page.split("/me/signatures?before=").nth(1).unwrap().split('&').next().unwrap();
    let page = me.page(house, &format!("/me/signatures?before={older}")).await.expect(200).text();
    assert!(page.contains("letter-1.") && page.contains("letter-0."), "{page}");
    assert_eq!(page.matches("<h2>letter-").count(), 2, "{page}");
    assert!(!page.contains("/me/signatures?before="), "there are no older ones: {page}");
}
