//! Card, phone and My Number card all fail, tonight: the commands of the page, typed in their order, lead to a sign-in.

use super::house::House;
use super::letter::log_in;
use super::letter::prove;
use serde_json::Value;
use tests::support::letter::Sheets;
use tests::support::pki::Pair;

const PAGE: &str = include_str!("../../../../appliance/ADMIN.md");

/// The commands of the page, without what is said beside them.
fn commands() -> Vec<String> {
    let part = PAGE.split("**Card, phone and My Number card all fail, tonight.**").nth(1).unwrap();
    let block = part.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    let command = |line: &str| line.split("   ").next().unwrap().trim().to_owned();
    block.lines().map(command).collect()
}

fn typed(house: &House, officer: &Pair, line: &str) -> String {
    let words = line.strip_prefix("inkan ").unwrap().replace("\"lost\"", "lost");
    let (certificate, key) = (officer.certificate.to_str().unwrap(), officer.key.to_str().unwrap());
    let mut arguments = vec!["--cert", certificate, "--key", key];
    arguments.extend(words.split(' '));
    let output = house.world.inkan(&arguments);
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{line}: {said}");
    said
}

/// The word of `text` behind `before`.
fn word(text: &str, before: &str) -> String {
    let rest = text.split(before).nth(1).unwrap_or_else(|| panic!("no {before:?}: {text}"));
    rest.split_whitespace().next().unwrap().to_owned()
}

#[tokio::test]
async fn commands_of_the_page_lead_a_holder_who_lost_everything_back_in() {
    let house = House::shared().await;
    let pki = &house.world.pki;
    let (doctor, my_number) = house.doctor_with_my_number().await;
    house.enrol(&doctor.card, &mut house.new_phone()).await.expect(200);
    let sheet = house.world.inkan(&["--json", "holder", "show", &doctor.holder_id]);
    let sheet: Value = serde_json::from_slice(&sheet.stdout).unwrap();
    let named = |list: &str, field: &str| sheet[list][0][field].as_str().unwrap().to_owned();
    let known = [
        ("HOLDER", doctor.holder_id.clone()),
        ("CARD", named("cards", "card")),
        ("DEVICE", named("devices", "device")),
        ("MYNUMBER", named("my_number_cards", "card")),
    ];
    let [mut proposal, mut letter] = [String::new(), String::new()];
    let mut halves = Vec::new();
    let commands = commands();
    assert_eq!(commands.len(), 9, "{commands:?}");
    for command in &commands {
        let mut line = command.clone();
        for (name, value) in &known {
            line = line.replace(name, value);
        }
        line = line.replace("PROPOSAL", &proposal).replace("LETTER", &letter);
        let is_others = command.starts_with("inkan approve") || halves.len() == 1;
        let officer = if is_others { &pki.officer2 } else { &pki.registrar };
        let said = typed(house, officer, &line);
        match command.as_str() {
            "inkan letter issue HOLDER" => {
                proposal = word(&said, "inkan approve ");
            }
            "inkan letter list" => {
                let row = said.lines().find(|row| row.contains(&doctor.holder_id)).unwrap();
                letter = row.split_whitespace().next().unwrap().to_owned();
            }
            "inkan letter sheet LETTER" => halves.push(said),
            _ => {}
        }
    }

    // What was lost is worth nothing.
    let pending = house.ask_my_number(None).await;
    house.my_number_page(&pending, &my_number).await.expect(403);
    // What was given leads back in.
    let origin = house.origin();
    let path = format!("/letter/{}", word(&halves[0], &format!("{origin}/letter/")));
    let sheets = Sheets { letter_id: letter, path, password: word(&halves[1], "password") };
    let cookie = log_in(&house.world, &sheets).await;
    let mut phone = house.new_phone();
    prove(&house.world, &sheets, &cookie, &mut phone).await.expect(200);
    house.sign_in(&doctor, &mut phone).await;
}
