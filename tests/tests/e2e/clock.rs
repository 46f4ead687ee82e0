//! A clock that jumps (D9), by libfaketime: one file says what time it is.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use tests::support::daemon::Daemon;
use tests::support::ehr::Sign;
use tests::support::http::Reply;
use tests::support::world::Plan;
use tests::support::world::World;

const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// A world whose daemon reads its clock's offset from a file; nothing where the library is not installed.
pub(crate) async fn with_clock() -> Option<(World, Clock)> {
    if !Path::new(LIBRARY).is_file() {
        println!("skipped: {LIBRARY} is not there (Debian package faketime)");
        return None;
    }
    let folder = tests::support::build::target_dir().join("e2e");
    std::fs::create_dir_all(&folder).unwrap();
    let clock = Clock(folder.join(format!(
        "clock-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    )));
    clock.set("+0");
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let environment = vec![
        variable("LD_PRELOAD", LIBRARY),
        variable("FAKETIME_TIMESTAMP_FILE", clock.0.to_str().unwrap()),
        variable("FAKETIME_NO_CACHE", "1"),
        variable("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    Some((World::new(Plan { environment, ..Plan::default() }).await, clock))
}

/// The file that libfaketime reads.
pub(crate) struct Clock(PathBuf);

impl Clock {
    pub(crate) fn set(&self, offset: &str) {
        let new = self.0.with_extension("new");
        std::fs::write(&new, offset).and_then(|()| std::fs::rename(&new, &self.0)).unwrap();
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn sign(world: &World, token: &str) -> Reply {
    let sign = Sign { token, credential: Some("p256"), content: b"x", ..Sign::default() };
    sign.send(&mut world.ehr().connect().await).await
}

#[tokio::test]
async fn d9_clock_that_jumps_ahead_ends_sessions_and_back_again_revives_none() {
    let Some((world, clock)) = with_clock().await else { return };
    let session = world.ehr().sign_in(&world.pki.card).await;
    sign(&world, &session.token).await.expect(200);
    clock.set("+25h");
    let ahead = sign(&world, &session.token).await;
    assert!(matches!(ahead.code().as_str(), "session_expired" | "not_operational"), "{ahead}");
    clock.set("+0");
    let back = sign(&world, &session.token).await;
    assert_ne!(back.status, 200, "a session that was over lives again");
}

#[tokio::test]
async fn d9_clock_that_goes_back_signs_nothing() {
    let Some((mut world, clock)) = with_clock().await else { return };
    let session = world.ehr().sign_in(&world.pki.card).await;
    sign(&world, &session.token).await.expect(200);
    clock.set("-25h");
    sign(&world, &session.token).await.expect_problem(503, "not_operational");
    clock.set("+0");
    sign(&world, &session.token).await.expect(200);
    // Over a restart the floor is that of the newest record.
    world.daemon.stop(Duration::from_secs(15));
    clock.set("-25h");
    world.daemon = Daemon::spawn(&world.launch);
    tokio::time::sleep(Duration::from_secs(3)).await;
    if let Ok(mut connection) = world.ehr().try_connect().await {
        let sign = Sign {
            token: &session.token,
            credential: Some("p256"),
            content: b"x",
            ..Sign::default()
        };
        let outcome = sign.try_send(&mut connection).await;
        assert!(!outcome.is_ok_and(|reply| reply.status == 200), "signed before its own records");
    }
}
