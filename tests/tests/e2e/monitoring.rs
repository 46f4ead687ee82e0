//! What monitoring sees, with Debian's own Prometheus.

use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use tests::support::daemon::probe;
use tests::support::ehr::Sign;
use tests::support::world::World;

async fn sign_once(world: &World) {
    let ehr = world.ehr();
    let session = ehr.sign_in(&world.pki.card).await;
    let sign =
        Sign { token: &session.token, credential: Some("p256"), content: b"x", ..Sign::default() };
    sign.send(&mut ehr.connect().await).await.expect(200);
}

#[tokio::test]
async fn promtool_has_nothing_to_say_about_the_metrics() {
    let world = World::shared().await;
    sign_once(world).await;
    let mut promtool = Command::new("promtool");
    promtool
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut promtool = promtool.spawn().expect("promtool (Debian package prometheus)");
    promtool.stdin.take().unwrap().write_all(world.metrics().as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && words.is_empty(), "{words}");
}

/// Ended when dropped.
struct Prometheus {
    child: Child,
    address: SocketAddr,
}

impl Prometheus {
    fn start(folder: &Path, target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let config = format!(
            "global:\n  scrape_interval: 500ms\nscrape_configs:\n  - job_name: inkan\n    static_configs:\n      - targets: ['{target}']\n"
        );
        let config_file = folder.join("prometheus.yml");
        std::fs::write(&config_file, config).unwrap();
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", config_file.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()));
        command.arg(format!("--web.listen-address={address}"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Self { child: command.spawn().expect("prometheus (Debian package)"), address }
    }

    /// The value of the first series of a query, once there is one.
    async fn query(&self, query: &str) -> f64 {
        for _try in 0..150 {
            if let Some(value) = self.try_query(query) {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("Prometheus knows no {query}");
    }

    fn try_query(&self, query: &str) -> Option<f64> {
        let (_, body) = probe(self.address, &format!("/api/v1/query?query={query}"))?;
        let start = body.find('{')?;
        let end = body.rfind('}')?;
        let answer: serde_json::Value = serde_json::from_str(body.get(start..=end)?).ok()?;
        answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn real_prometheus_scrapes_the_daemon() {
    let world = World::shared().await;
    sign_once(world).await;
    let folder = tempfile::tempdir_in(&world.folder).unwrap();
    let prometheus = Prometheus::start(folder.path(), world.ports.metrics);
    assert!((prometheus.query("up").await - 1.0).abs() < f64::EPSILON);
    assert!(prometheus.query("sum(inkan_signatures_total)").await >= 1.0);
    assert!(prometheus.query("inkan_build_info").await >= 1.0);
    for name in ["inkan_crl_age_seconds", "inkan_sessions", "inkan_sign_ins_total"] {
        prometheus.query(&format!("count({name})")).await;
    }
}

#[tokio::test]
async fn h14_metrics_name_nobody_and_do_not_grow_with_random_paths() {
    let world = World::shared().await;
    let mut connection = world.ehr().connect().await;
    connection.get("/v1/warm-up").await;
    for n in 0..200 {
        connection.get(&format!("/v1/random-{n}")).await.expect(404);
    }
    let page = world.metrics();
    assert!(page.lines().count() < 2_000, "{} lines", page.lines().count());
    for name in ["u-17", "u-18", "医師", "canary", "random-"] {
        assert!(!page.contains(name), "{name} is in the metrics");
    }
}

#[tokio::test]
async fn health_needs_no_session_and_says_little() {
    let world = World::shared().await;
    let (status, _) = probe(world.ports.metrics, "/healthz").unwrap();
    assert_eq!(status, 200);
    let (status, body) = probe(world.ports.metrics, "/readyz").unwrap();
    assert_eq!(status, 200);
    assert!(body.len() < 200, "{body}");
}
