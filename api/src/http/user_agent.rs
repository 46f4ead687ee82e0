//! Browsers name themselves at length; people are told in two words.

/// Browser and system: `Chrome, Windows`; "" when neither is known. Nothing of it is proved.
pub(crate) fn in_few_words(agent: &str) -> String {
    let first = |names: &[(&str, &'static str)]| {
        names.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name)
    };
    let known: Vec<&str> = [first(BROWSERS), first(SYSTEMS)].into_iter().flatten().collect();
    known.join(", ")
}

/// Browsers carry the marks of those they descend from: the most particular first.
const BROWSERS: &[(&str, &str)] = &[
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];

const SYSTEMS: &[(&str, &str)] = &[
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Macintosh", "Mac"),
    ("Linux", "Linux"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_browsers_are_named_and_others_are_not_repeated() {
        let chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
            Chrome/140.0.0.0 Safari/537.36";
        assert_eq!(in_few_words(chrome), "Chrome, Windows");
        assert_eq!(in_few_words(&format!("{chrome} Edg/140.0.0.0")), "Edge, Windows");
        let iphone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 \
            (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1";
        assert_eq!(in_few_words(iphone), "Safari, iPhone");
        let android = "Mozilla/5.0 (Linux; Android 15) Gecko/140.0 Firefox/140.0";
        assert_eq!(in_few_words(android), "Firefox, Android");
        assert_eq!(in_few_words("<script>alert(1)</script>"), "");
        assert_eq!(in_few_words(""), "");
    }
}
