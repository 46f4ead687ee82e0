//! Elements of a page, found and used as a person would.

use super::Browser;
use serde_json::Value;
use serde_json::json;

/// The Tab key (W3C WebDriver 2 §17.4.2).
pub const TAB: char = '\u{e004}';
/// The Enter key.
pub const ENTER: char = '\u{e007}';
/// The name under which an element's reference travels (§12.1).
pub(super) const REFERENCE: &str = "element-6066-11e4-a52e-4f735466cecf";

/// How an element is found.
#[derive(Clone, Copy, Debug)]
pub enum By<'a> {
    /// The first that a CSS selector selects.
    Css(&'a str),
    /// The innermost whose text has this in it.
    Text(&'a str),
}

impl By<'_> {
    pub(super) fn parameters(self) -> Value {
        match self {
            Self::Css(selector) => json!({ "using": "css selector", "value": selector }),
            Self::Text(text) => {
                assert!(!text.contains('"'), "XPath has no escapes");
                let has = format!("contains(normalize-space(.), \"{text}\")");
                let path = format!("//body//*[{has}][not(.//*[{has}])]");
                json!({ "using": "xpath", "value": path })
            }
        }
    }
}

/// An element of the page that is shown.
#[derive(Clone, Debug)]
pub struct Element<'a> {
    pub(super) browser: &'a Browser,
    pub(super) id: String,
}

impl<'a> Element<'a> {
    pub(super) fn from_reference(browser: &'a Browser, value: &Value) -> Self {
        let id = value[REFERENCE].as_str().expect("an element").to_owned();
        Self { browser, id }
    }

    /// Clicks in its middle; what it opens is loaded when the next command is answered.
    pub async fn click(&self) {
        self.post("click", &json!({})).await;
    }

    /// Types into it.
    pub async fn type_text(&self, text: &str) {
        self.post("value", &json!({ "text": text })).await;
    }

    /// Sends the form that this field is in, by the Enter key.
    pub async fn submit(&self) {
        self.type_text(&ENTER.to_string()).await;
    }

    /// Its text as it is shown.
    pub async fn text(&self) -> String {
        self.get("text").await.as_str().unwrap_or_default().to_owned()
    }

    pub async fn attribute(&self, name: &str) -> Option<String> {
        self.get(&format!("attribute/{name}")).await.as_str().map(str::to_owned)
    }

    /// A computed style.
    pub async fn style(&self, property: &str) -> String {
        self.get(&format!("css/{property}")).await.as_str().unwrap_or_default().to_owned()
    }

    /// Width and height in CSS pixels.
    pub async fn size(&self) -> (f64, f64) {
        let rect = self.get("rect").await;
        let side = |name: &str| rect[name].as_f64().expect("a number");
        (side("width"), side("height"))
    }

    async fn get(&self, what: &str) -> Value {
        self.browser.driver.get(&format!("/element/{}/{what}", self.id)).await
    }

    async fn post(&self, what: &str, parameters: &Value) -> Value {
        self.browser.driver.post(&format!("/element/{}/{what}", self.id), parameters).await
    }
}
