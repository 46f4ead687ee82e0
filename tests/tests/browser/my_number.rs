//! A doctor registers a My Number card with the HPKI card, and signs in with it.

use crate::desk::Desk;
use tests::support::browser::By;
use tests::support::browser::Wanted;
use tests::support::pki::Validity;

const BUTTON: By<'_> = By::Css("form button");

/// One reader for each card, so that nobody has to exchange them.
#[tokio::test]
async fn card_is_registered_on_the_portal_and_signs_in_at_the_system() {
    let Some(desk) = Desk::open_with("my-number", &["hpki", "jpki", "fido2"]).await else { return };
    let doctor = desk.world.new_doctor(Validity::CURRENT).await;
    let card = desk.world.pki.jpki.my_number_card("997794E9AGCIEG", Validity::CURRENT);
    let ports = desk.world.ports;
    let wanted = Wanted {
        card: Some(&doctor.card),
        other_card: Some((&card, ports.jpki.port())),
        ..Wanted::new("my-number", &desk.world.pki)
    };
    let browser = wanted.start().await;
    browser.go(&format!("https://localhost:{}/", ports.portal.port())).await;
    browser.screenshot("portal").await;
    let entry = By::Text("HPKI カードを使ってマイナンバーカードを登録する");
    browser.find(entry).await.click().await;
    browser.screenshot("entry").await;
    let link = format!("a[href^='https://localhost:{}/link']", ports.hpki.port());
    browser.find(By::Css(&link)).await.click().await;
    let holder_id = browser.find(By::Css("#holder-id")).await.text().await;
    assert_eq!(holder_id, doctor.holder_id);
    browser.screenshot("hpki").await;
    browser.find(BUTTON).await.click().await;
    browser.find(By::Text("カードを入れ替えてください")).await;
    browser.screenshot("swap").await;
    browser.find(BUTTON).await.click().await;
    browser.find(By::Text("このマイナンバーカードを登録しますか")).await;
    browser.screenshot("confirm").await;
    browser.find(BUTTON).await.click().await;
    browser.find(By::Text("カードで確認する")).await.click().await;
    browser.find(By::Css("#proved-at")).await;
    browser.screenshot("confirm-again").await;
    browser.find(By::Css("button[value=approve]")).await.click().await;
    let done = "マイナンバーカードの登録が完了しました。ブラウザを終了してください。";
    browser.find(By::Text(done)).await;
    browser.screenshot("done").await;
    let pending = desk.ask_sign_in().await;
    browser.go(&pending.login_url).await;
    browser.screenshot("choice").await;
    browser.find(By::Text("マイナンバーカードで認証")).await.click().await;
    browser.find(By::Css("button[value=approve]")).await.click().await;
    desk.sign_after_return(&browser, &pending).await;
}
