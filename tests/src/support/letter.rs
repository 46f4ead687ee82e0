//! Notification cards: two operators issue them, and each fetches a sheet.

use super::admin;
use super::world::World;
use serde_json::Value;
use serde_json::json;

/// What stands on the two sheets.
#[derive(Clone)]
pub struct Sheets {
    pub letter_id: String,
    /// `/letter/{link}`
    pub path: String,
    pub password: String,
}

impl Sheets {
    /// One character off.
    pub fn wrong(&self) -> String {
        let first = if self.password.starts_with('0') { "1" } else { "0" };
        format!("{first}{}", &self.password[1..])
    }

    pub fn link_secret(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or_default()
    }
}

/// Issued by two operators, who have not fetched their sheets; its id.
pub async fn issue_unfetched(world: &World, holder_id: &str) -> String {
    let body = json!({ "holder_id": holder_id });
    let registrar = &world.pki.registrar;
    let proposal_id = admin::propose(world, registrar, "POST /letters", Some(&body)).await;
    let approve = format!("POST /proposals/{proposal_id}/approve");
    let done = admin::ask(world, &world.pki.officer2, &approve, None).await.expect(200).json();
    assert!(done["done"].as_str().expect("a text").contains(holder_id), "{done}");
    letter(world, holder_id).await["letter_id"].as_str().expect("a text").to_owned()
}

/// Issued, and both sheets fetched.
pub async fn issue(world: &World, holder_id: &str) -> Sheets {
    let letter_id = issue_unfetched(world, holder_id).await;
    let line = format!("POST /letters/{letter_id}/sheet");
    let link = admin::ask(world, &world.pki.registrar, &line, None).await.expect(200).json();
    let password = admin::ask(world, &world.pki.officer2, &line, None).await.expect(200).json();
    let url = link["half"]["url"].as_str().unwrap_or_else(|| panic!("{link}"));
    let origin = format!("https://localhost:{}", world.ports.portal.port());
    let password = password["half"]["password"].as_str().unwrap_or_else(|| panic!("{password}"));
    let path = url.strip_prefix(&origin).unwrap_or_else(|| panic!("{url}")).to_owned();
    Sheets { letter_id, path, password: password.to_owned() }
}

/// The newest card of a holder, as operators see it.
pub async fn letter(world: &World, holder_id: &str) -> Value {
    let all = admin::ask(world, &world.pki.registrar, "GET /letters", None).await.expect(200);
    let all = all.json();
    let of = all.as_array().expect("cards").iter().find(|letter| letter["holder_id"] == holder_id);
    of.unwrap_or_else(|| panic!("{all}")).clone()
}
