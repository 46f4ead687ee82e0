use super::*;

fn faults(text: &str) -> Vec<Fault> {
    read(text).1
}

/// Warnings set aside: the example shows every key, the dangerous one included.
fn errors(text: &str) -> Vec<String> {
    let errors = faults(text).into_iter().filter(|fault| fault.severity == Severity::Error);
    errors.map(|fault| fault.to_string()).collect()
}

fn changed(from: &str, to: &str) -> String {
    assert!(EXAMPLE.contains(from), "{from:?} is not in the example");
    EXAMPLE.replacen(from, to, 1)
}

/// Exactly one error, at this key, whose text and advice hold these words.
#[track_caller]
fn one_error(text: &str, key: &str, words: &[&str]) {
    let faults: Vec<_> =
        faults(text).into_iter().filter(|fault| fault.severity == Severity::Error).collect();
    let [fault] = faults.as_slice() else { panic!("{faults:#?}") };
    assert_eq!(fault.key, key, "{fault}");
    assert!(fault.line.is_some(), "{fault}");
    for word in words {
        assert!(fault.to_string().contains(word), "{word:?} is not in: {fault}");
    }
}

#[test]
fn example_loads_without_a_fault() {
    assert_eq!(faults(EXAMPLE), Vec::new());
    assert!(read(EXAMPLE).0.is_some());
}

#[test]
fn example_has_every_key_that_is_known() {
    let tables = [
        "",
        "hsm",
        "listeners",
        "listeners.signing",
        "listeners.signing.documents",
        "listeners.signing.limits",
        "listeners.hpki",
        "listeners.portal",
        "listeners.admin",
        "listeners.metrics",
        "listeners.metrics.tls",
        "listeners.certificates",
        "hpki",
        "hpki.profile",
        "hpki.profile.hc_role",
        "listeners.jpki",
        "jpki",
        "jpki.profile",
        "jpki.validity",
        "jpki.validity.http",
        "jpki.validity.ocsp",
        "second_certificates",
        "second_certificates.profile",
        "revocation",
        "sessions",
        "limits",
        "log",
    ];
    let example: toml::Table = EXAMPLE.parse().unwrap();
    for table in tables {
        let unknown = match table {
            "" => format!("zzzzzzzz = 1\n{EXAMPLE}"),
            "listeners" => format!("{EXAMPLE}\n[listeners.zzzzzzzz]\n"),
            table => changed(&format!("\n[{table}]\n"), &format!("\n[{table}]\nzzzzzzzz = 1\n")),
        };
        let fault = faults(&unknown).remove(0);
        let known = fault.instead.split_once("known here: ").unwrap().1;
        let here = table
            .split('.')
            .filter(|key| !key.is_empty())
            .fold(&example, |inner, key| inner[key].as_table().unwrap());
        for key in known.split(", ") {
            assert!(here.contains_key(key), "{table}.{key} is not in the example");
        }
    }
}

#[test]
fn defaults_are_those_that_the_example_shows() {
    let shown = read(EXAMPLE).0.unwrap();
    for table in [
        "revocation",
        "sessions",
        "limits",
        "log",
        "listeners.signing.limits",
        "hpki.profile.hc_role",
        "second_certificates.profile",
    ] {
        let start = EXAMPLE.find(&format!("\n[{table}]\n")).unwrap() + 1;
        let end = EXAMPLE[start + 1..].find("\n[").map_or(EXAMPLE.len(), |at| start + 1 + at);
        let without = [&EXAMPLE[..start], &EXAMPLE[end..]].concat();
        assert!(read(&without).0.as_ref() == Some(&shown), "[{table}]");
    }
}

#[test]
fn unknown_key_is_named_with_the_one_that_was_meant() {
    one_error(&changed("sessions = 4", "sesions = 4"), "hsm.sesions", &["did you mean sessions?"]);
    let text = changed("host_names", "hostnames");
    let faults = faults(&text);
    assert!(faults[0].to_string().contains("did you mean host_names?"), "{faults:?}");
}

#[test]
fn every_structural_fault_is_reported_and_not_only_the_first() {
    let text = changed("sessions = 4", "sesions = 4")
        .replacen("queue = 256", "queue = \"many\"", 1)
        .replacen("module = ", "modul = ", 1)
        .replacen("check_seconds = 30", "check_seconds = -1", 1)
        .replacen("format = \"text\"", "format = \"xml\"", 1);
    let errors = errors(&text);
    for word in
        ["hsm.sesions", "hsm.queue", "hsm.modul:", "hsm.module:", "check_seconds", "log.format"]
    {
        assert!(errors.iter().any(|error| error.contains(word)), "{word} in {errors:#?}");
    }
    assert_eq!(errors.len(), 6, "{errors:#?}");
}

#[test]
fn missing_key_comes_with_a_line_to_write() {
    let text = changed("data_dir = \"/var/lib/inkan\"\n", "");
    let faults = faults(&text);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].instead.contains("data_dir = \"/var/lib/inkan\""), "{}", faults[0]);
}

#[test]
fn value_of_a_wrong_kind_says_what_is_wanted() {
    one_error(
        &changed("queue = 256", "queue = \"256\""),
        "hsm.queue",
        &["whole number", "queue = 256"],
    );
    let wrong = changed("address = \"0.0.0.0:8443\"", "address = \"0.0.0.0\"");
    one_error(&wrong, "listeners.signing.address", &["no address with port", "0.0.0.0:8443"]);
}

#[test]
fn pin_in_the_file_is_refused_with_what_to_do() {
    let text = changed("pin_file = \"/etc/inkan/hsm-pin\"", "pin = \"1234\"");
    one_error(&text, "hsm.pin", &["secret never stands", "hsm-pin", "change it"]);
    assert!(!errors(&text).join("").contains("1234"));
}

#[test]
fn text_that_is_no_toml_says_where() {
    let faults = faults("data_dir = \n[hsm\n");
    assert!(!faults.is_empty());
    assert!(faults.iter().all(|fault| fault.line.is_some()), "{faults:?}");
}

#[test]
fn two_listeners_on_one_port_are_refused() {
    let text = changed("0.0.0.0:8444", "127.0.0.1:8443");
    one_error(&text, "listeners.hpki.address", &["already listened on", "listeners.signing"]);
}

#[test]
fn open_metrics_without_tls_are_refused() {
    let start = EXAMPLE.find("[listeners.metrics.tls]").unwrap();
    let end = EXAMPLE.find("[listeners.metrics.limits]").unwrap();
    let text = [&EXAMPLE[..start], &EXAMPLE[end..]].concat();
    assert_eq!(errors(&text), Vec::<String>::new());
    let text = text.replacen("127.0.0.1:9464", "0.0.0.0:9464", 1);
    one_error(&text, "listeners.metrics.address", &["without TLS", "loopback"]);
}

#[test]
fn relative_path_is_refused() {
    let text = changed("\"/etc/inkan/tls/signing.key\"", "\"tls/signing.key\"");
    one_error(&text, "listeners.signing.key", &["absolute"]);
}

#[test]
fn host_name_with_scheme_port_or_capitals_is_refused() {
    for wrong in
        ["https://a.example", "a.example:8443", "A.example", "a.example.", "-a.example", ""]
    {
        let names = changed("[\"inkan.hospital.example\"]", &format!("[\"{wrong}\"]"));
        one_error(&names, "listeners.signing.host_names", &["no host name"]);
    }
}

#[test]
fn sign_ins_are_kept_by_nobody_unless_the_house_wants_it_and_has_a_portal() {
    let config = |text: &str| toml::from_str::<Config>(text).unwrap();
    assert!(!config(EXAMPLE).sessions.saved_sign_ins);
    assert!(!Sessions::default().saved_sign_ins);
    let wanted = changed("saved_sign_ins = false", "saved_sign_ins = true");
    assert_eq!(errors(&wanted), Vec::<String>::new());
    let mut without = config(&wanted);
    without.listeners.portal = None;
    let faults = rules::check(&without);
    let fault = faults.iter().find(|fault| fault.key == "sessions.saved_sign_ins");
    assert!(fault.is_some(), "{faults:?}");
}

#[test]
fn portal_under_an_address_is_refused() {
    let text = changed("\"portal.inkan.hospital.example\"", "\"192.0.2.1\"");
    one_error(&text, "listeners.portal.host_name", &["passkeys", "name"]);
}

#[test]
fn revocation_list_over_https_or_from_elsewhere_is_refused() {
    for wrong in ["https://ca.example/a.crl", "ldap://ca.example/a", "file:///etc/passwd"] {
        let text = changed("http://cert.medis.or.jp/auth/crl-auth2.crl", wrong);
        one_error(&text, "hpki.crls.medis-auth", &["only http://", "medis-auth = { http = "]);
    }
}

#[test]
fn no_revocation_list_at_all_is_refused() {
    let text =
        changed("medis-auth = { http = \"http://cert.medis.or.jp/auth/crl-auth2.crl\" }\n", "");
    one_error(&text, "hpki.crls", &["unknown is not good"]);
    let text = of_kind("crl").replacen("jpki-city-1 = {", "# {", 1);
    one_error(&text, "jpki.validity.crls", &["unknown is not good"]);
}

#[test]
fn one_name_for_two_revocation_lists_is_refused() {
    let list = "medis-auth = { http = \"http://cert.medis.or.jp/auth/crl-auth2.crl\" }";
    let jpki = "jpki-city-1 = { file = \"/var/lib/jpki/city-1.crl\" }";
    let text = of_kind("crl");
    assert_eq!(errors(&text.replacen(jpki, list, 1)), [""; 0], "the same list");
    let text = text.replacen("jpki-city-1", "medis-auth", 1);
    one_error(&text, "jpki.validity.crls.medis-auth", &["hpki.crls has another source"]);
}

#[test]
fn lists_of_the_jpki_are_fetched_only_where_they_are_asked() {
    let ids = |text: &str| read(text).0.unwrap().crl_targets().into_keys().collect::<Vec<_>>();
    assert_eq!(ids(&of_kind("crl")), ["jpki-city-1", "medis-auth", "medis-sign"]);
    for kind in ["ocsp", "http"] {
        assert_eq!(ids(&of_kind(kind)), ["medis-auth", "medis-sign"], "{kind}");
    }
}

#[test]
fn provider_whose_table_is_missing_is_refused() {
    let words = &["nobody could be asked", "--example"];
    for (kind, others) in [("http", "ocsp"), ("ocsp", "crl")] {
        let text = of_kind(kind);
        assert_eq!(errors(&text), [""; 0]);
        let start = text.find(&format!("[jpki.validity.{kind}]")).unwrap();
        let end = start + 1 + text[start + 1..].find("\n[").unwrap();
        let without = [&text[..start], &text[end..]].concat();
        one_error(&without, "jpki.validity.kind", words);
        let other = without.replacen(&format!("kind = {kind:?}"), &format!("kind = {others:?}"), 1);
        assert_eq!(errors(&other), [""; 0], "{others} needs no table of {kind}");
    }
}

#[test]
fn provider_is_reached_as_its_answers_can_be_trusted() {
    let plain = changed("https://jpki.platform.example", "http://jpki.platform.example");
    one_error(&plain, "jpki.validity.http.url", &["only https://", "not signed"]);
    let text = of_kind("ocsp").replacen("http://ocsp.platform", "https://ocsp.platform", 1);
    one_error(&text, "jpki.validity.ocsp.url", &["only http://", "signed"]);
}

#[test]
fn answers_are_remembered_for_an_hour_at_most() {
    for (seconds, is_good) in [(0, true), (3_600, true), (3_601, false)] {
        let text = changed("cache_seconds = 600", &format!("cache_seconds = {seconds}"));
        assert_eq!(errors(&text).is_empty(), is_good, "{seconds}");
    }
}

#[test]
fn unknown_provider_is_named_with_those_that_are_known() {
    one_error(&of_kind("ldap"), "jpki.validity.kind", &["crl", "ocsp", "http"]);
}

/// The example with another provider of validity.
fn of_kind(kind: &str) -> String {
    changed("\nkind = \"http\"\n", &format!("\nkind = {kind:?}\n"))
}

#[test]
fn no_policy_at_all_is_refused() {
    let text = changed("policy_oids = [\"1.2.392.100495.1.5.1.2.3.1\"]", "policy_oids = []");
    one_error(&text, "hpki.profile.policy_oids", &["no certificate is ever accepted"]);
    let text = changed("1.2.392.100495.1.5.1.2.3.1", "1.2.x");
    one_error(&text, "hpki.profile.policy_oids", &["no dotted object identifier"]);
}

#[test]
fn each_number_holds_at_its_limits_and_not_past_them() {
    let limits = [
        ("handshake_seconds = 120", "handshake_seconds", 10, 600),
        ("refresh_seconds = 1800", "refresh_seconds", 1, 86_400),
        ("alarm_hours = 36", "alarm_hours", 1, 720),
        ("max_age_hours = 240", "max_age_hours", 1, 8_760),
        ("max_seconds = 86400", "max_seconds", 60, 86_400),
        ("max_signatures = 1000", "max_signatures", 1, 100_000_000),
        ("once_seconds = 300", "once_seconds", 30, 3_600),
        ("show_seconds = 604800", "show_seconds", 0, 31_536_000),
        ("phone_session_seconds = 86400", "phone_session_seconds", 60, 86_400),
        ("digest_items = 500", "digest_items", 1, 5_000),
        ("entries = 20", "entries", 1, 100),
        ("entry_label_characters = 60", "entry_label_characters", 1, 120),
        ("notification_card_days = 30", "notification_card_days", 1, 365),
        ("sign_ins_per_minute = 20", "sign_ins_per_minute", 1, 100_000),
        ("timeout_ms = 3000", "timeout_ms", 100, 10_000),
    ];
    for (line, key, least, most) in limits {
        let below = u64::checked_sub(least, 1).map(|value| (value, false));
        for (value, is_good) in
            [(least, true), (most, true), (most + 1, false)].into_iter().chain(below)
        {
            let errors = errors(&changed(line, &format!("{key} = {value}")));
            assert_eq!(errors.is_empty(), is_good, "{key} = {value}: {errors:?}");
        }
    }
}

#[test]
fn models_are_read_as_their_makers_write_them() {
    let model = "EA9B8D66-4D01-1D21-3CE4-B6B48CB575D4";
    let (config, ..) = read(&changed("models = []", &format!("models = [{model:?}]")));
    assert_eq!(hex::encode(config.unwrap().factors.models[0]), "ea9b8d664d011d213ce4b6b48cb575d4");
    for bad in ["", "ea9b8d66", &model.replace('E', "x"), &format!("{model}0")] {
        let text = changed("models = []", &format!("models = [{bad:?}]"));
        one_error(&text, "factors.models", &["no AAGUID"]);
    }
}

#[test]
fn pair_that_may_go_within_a_day_is_warned_of() {
    let warned = |seconds: u64| {
        let now = format!("destroy_after_seconds = {seconds}");
        let faults = faults(&changed("destroy_after_seconds = 604800", &now));
        let mut keys = faults.iter().filter(|fault| fault.severity == Severity::Warning);
        keys.any(|fault| fault.key == "keys.destroy_after_seconds")
    };
    assert!(warned(86_399) && !warned(86_400));
}

#[test]
fn networks_are_read_and_what_is_none_is_refused() {
    let of =
        |networks: &str| changed("phone_networks = []", &format!("phone_networks = [{networks}]"));
    let (config, ..) = read(&of("\"10.20.0.0/16\", \"fd00:20::/32\""));
    assert_eq!(config.unwrap().factors.phone_networks.len(), 2);
    one_error(&of("\"10.20.0.1/16\""), "factors.phone_networks", &["beyond the prefix"]);
    one_error(&of("\"ward 3\""), "factors.phone_networks", &["no network"]);
}

#[test]
fn log_filter_that_would_log_nothing_is_refused() {
    for good in ["info", "warn,hsm=debug", "error,appliance::audit=info", "off"] {
        assert_eq!(errors(&changed("filter = \"info\"", &format!("filter = {good:?}"))), [""; 0]);
    }
    for wrong in ["inof", "", "info,hsm", "hsm=loud", "info,,warn", "trace", "hyper=trace"] {
        let text = changed("filter = \"info\"", &format!("filter = {wrong:?}"));
        let errors = errors(&text);
        assert!(errors.iter().any(|error| error.contains("log.filter")), "{wrong:?}: {errors:?}");
    }
}

#[test]
fn login_links_begin_with_the_card_listeners_first_name_and_port() {
    let text = changed("origin = \"https://hpki.inkan.hospital.example:8444\"\n", "");
    let config = read(&text).0.unwrap();
    assert_eq!(config.hpki_origin(), "https://hpki.inkan.hospital.example:8444");
    let standard = read(&text.replacen("0.0.0.0:8444", "0.0.0.0:443", 1)).0.unwrap();
    assert_eq!(standard.hpki_origin(), "https://hpki.inkan.hospital.example");
}

#[test]
fn file_that_is_not_there_says_how_to_begin() {
    let refused = Config::load(Path::new("/nonexistent/inkan.toml")).unwrap_err();
    assert!(refused.to_string().contains("--example"), "{refused}");
}
