//! What is done with the page that a browser shows.

use super::Browser;
use super::By;
use super::Element;
use super::PATIENCE;
use super::element::REFERENCE;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::json;
use std::time::Duration;
use std::time::Instant;

impl Browser {
    /// Opens `url` and waits until it is loaded.
    pub async fn go(&self, url: &str) {
        self.driver.post("/url", &json!({ "url": url })).await;
    }

    pub async fn back(&self) {
        self.driver.post("/back", &json!({})).await;
    }

    pub async fn forward(&self) {
        self.driver.post("/forward", &json!({})).await;
    }

    pub async fn refresh(&self) {
        self.driver.post("/refresh", &json!({})).await;
    }

    pub async fn url(&self) -> String {
        self.text_of("/url").await
    }

    pub async fn title(&self) -> String {
        self.text_of("/title").await
    }

    /// The document as it is now, as HTML.
    pub async fn source(&self) -> String {
        self.text_of("/source").await
    }

    /// The text that is shown.
    pub async fn text(&self) -> String {
        self.find(By::Css("body")).await.text().await
    }

    /// Waits until `text` is shown somewhere.
    pub async fn wait_for_text(&self, text: &str) {
        let script = json!({
            "script": "return document.body.innerText.includes(arguments[0])", "args": [text],
        });
        // A page that is just being left answers nothing.
        let shown = async || {
            let answer = self.driver.command("POST", "/execute/sync", Some(&script)).await;
            answer.is_ok_and(|is_shown| is_shown == json!(true)).then_some(())
        };
        self.wait_for(text, shown).await;
    }

    pub async fn cookies(&self) -> Vec<Value> {
        self.driver.get("/cookie").await.as_array().cloned().unwrap_or_default()
    }

    pub async fn delete_cookies(&self) {
        self.driver.delete("/cookie").await;
    }

    /// The element, once there is one.
    pub async fn find(&self, by: By<'_>) -> Element<'_> {
        self.wait_for(&format!("{by:?}"), async || self.find_now(by).await).await
    }

    /// Whether there is one now.
    pub async fn has(&self, by: By<'_>) -> bool {
        self.find_now(by).await.is_some()
    }

    async fn find_now(&self, by: By<'_>) -> Option<Element<'_>> {
        match self.driver.command("POST", "/element", Some(&by.parameters())).await {
            Ok(value) => Some(Element::from_reference(self, &value)),
            Err(failure) if failure.error == "no such element" => None,
            Err(failure) => panic!("{by:?}: {failure}"),
        }
    }

    /// The element that has the keyboard.
    pub async fn focused(&self) -> Element<'_> {
        Element::from_reference(self, &self.driver.get("/element/active").await)
    }

    /// Waits until the address begins with `start`, and gives it.
    pub async fn wait_for_url(&self, start: &str) -> String {
        let at_last = async || Some(self.url().await).filter(|url| url.starts_with(start));
        self.wait_for(start, at_last).await
    }

    /// Asks again and again until there is an answer; fails with what is shown when there is none in time.
    pub async fn wait_for<T>(&self, what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            if Instant::now() >= until {
                panic!("no {what} at {}:\n{}", self.url().await, self.source().await);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Presses and releases one key, wherever the keyboard is.
    pub async fn press(&self, key: char) {
        let strokes = [
            json!({ "type": "keyDown", "value": key.to_string() }),
            json!({ "type": "keyUp", "value": key.to_string() }),
        ];
        let actions = [json!({ "type": "key", "id": "keyboard", "actions": strokes })];
        self.driver.post("/actions", &json!({ "actions": actions })).await;
    }

    /// Touches an element that is in view, as a finger does.
    pub async fn tap(&self, element: &Element<'_>) {
        let strokes = [
            json!({ "type": "pointerMove", "x": 0, "y": 0, "origin": { (REFERENCE): element.id } }),
            json!({ "type": "pointerDown", "button": 0 }),
            json!({ "type": "pointerUp", "button": 0 }),
        ];
        let finger = json!({
            "type": "pointer", "id": "finger", "parameters": { "pointerType": "touch" },
            "actions": strokes,
        });
        self.driver.post("/actions", &json!({ "actions": [finger] })).await;
    }

    /// Runs the body of a function in the page and gives what it returns; a promise is waited for.
    pub async fn script(&self, body: &str, arguments: &[Value]) -> Value {
        self.driver.post("/execute/sync", &json!({ "script": body, "args": arguments })).await
    }

    /// The window's outer size from now on; phones keep theirs.
    pub async fn resize(&self, width: u32, height: u32) {
        self.driver.post("/window/rect", &json!({ "width": width, "height": height })).await;
    }

    /// How many CSS pixels of the page are to the right of what is shown.
    pub async fn hidden_width(&self) -> i64 {
        let root = "document.documentElement";
        let hidden = format!("return {root}.scrollWidth - {root}.clientWidth");
        self.script(&hidden, &[]).await.as_i64().expect("a number")
    }

    /// Writes what is shown to `target/browser/<name>-<step>.png`.
    pub async fn screenshot(&self, step: &str) {
        let png = self.driver.get("/screenshot").await;
        let png = STANDARD.decode(png.as_str().expect("an image")).expect("base64");
        let path = format!("{}-{step}.png", self.screenshots.display());
        std::fs::write(path, png).expect("a file under target/");
    }

    async fn text_of(&self, path: &str) -> String {
        self.driver.get(path).await.as_str().expect("a text").to_owned()
    }
}
