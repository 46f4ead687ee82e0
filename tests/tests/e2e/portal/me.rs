//! A holder's own page, opened in one browser.

use super::house::House;
use super::house::Pc;
use attest::danger_testing::SoftPhone;
use tests::support::doctor::Doctor;
use tests::support::http::Reply;
use tests::support::pki::Pair;
use tests::support::portal::field;

/// See the module.
pub struct Me {
    pub cookie: String,
}

/// A sign-in for the page that is approved: where the browser is sent, and what it remembers.
pub struct Approved {
    pub arrive: String,
    pub begun: String,
}

impl House {
    /// The login path of a sign-in for a page.
    pub async fn begin_me(&self) -> String {
        let reply = self.post_form("/me/sign-in", "").await.expect(303);
        reply.header("location").split('?').next().unwrap().to_owned()
    }

    pub async fn approve_me_by_card(&self, card: &Pair) -> Approved {
        let login_path = self.begin_me().await;
        let begun = self.choose_card(&login_path).await.cookie("__Host-begun").unwrap();
        let confirmed = self.world.portal().approve(card, &login_path, None).await;
        Approved { arrive: self.arrival(&confirmed), begun }
    }

    pub async fn approve_me_by_phone(&self, doctor: &Doctor, phone: &mut SoftPhone) -> Approved {
        let login_path = self.begin_me().await;
        let reply = self.choose_phone(&login_path, Some(&doctor.holder_id)).await;
        let (pc, begun) = (Pc::at(&reply), reply.cookie("__Host-begun").unwrap());
        self.approve(&pc, phone).await.expect(200);
        assert!(self.page_goes_on(&pc).await);
        Approved { arrive: self.arrival(&self.page(&pc).await), begun }
    }

    fn arrival(&self, reply: &Reply) -> String {
        assert_eq!(reply.status, 303, "{reply}");
        reply.header("location").strip_prefix(&self.origin()).unwrap().to_owned()
    }

    /// The browser follows; the page is open.
    pub async fn arrive(&self, approved: &Approved) -> Me {
        let reply = self.get_with(&approved.begun, &approved.arrive).await.expect(303);
        assert_eq!(reply.header("location"), "/me");
        Me { cookie: reply.cookie("__Host-me").unwrap() }
    }

    pub async fn me_by_card(&self, doctor: &Doctor) -> Me {
        self.arrive(&self.approve_me_by_card(&doctor.card).await).await
    }

    pub async fn me_by_phone(&self, doctor: &Doctor, phone: &mut SoftPhone) -> Me {
        self.arrive(&self.approve_me_by_phone(doctor, phone).await).await
    }
}

impl Me {
    /// What `path` shows, in English.
    pub async fn page(&self, house: &House, path: &str) -> Reply {
        let separator = if path.contains('?') { '&' } else { '?' };
        house.get_with(&self.cookie, &format!("{path}{separator}lang=en")).await
    }

    /// A one-time field of the page.
    pub async fn form_token(&self, house: &House) -> String {
        let page = self.page(house, "/me").await.expect(200).text();
        field(&page, "form_token").unwrap_or_else(|| panic!("the page is closed: {page}"))
    }

    /// Presses a button of the page.
    pub async fn press(&self, house: &House, path: &str, form: &str) -> Reply {
        let token = self.form_token(house).await;
        let form = format!("form_token={token}&lang=en&{form}");
        house.post_with(&self.cookie, path, &form).await
    }

    pub async fn is_open(&self, house: &House) -> bool {
        self.page(house, "/me").await.expect(200).text().contains("id=\"holder-id\"")
    }
}
