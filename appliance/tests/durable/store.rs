//! What the embedded store promises beyond the trait: restarts, damage, sweeping, stopping.

use crate::support::Random;
use crate::support::rounds;
use appliance::store::SledStore;
use appliance::store::StoreConfig;
use appliance::store::StoreMetrics;
use appliance::store::StoreOpenError;
use attest::clock::UnixSeconds;
use attest::danger_testing::HandClock;
use attest::store::Store;
use attest::store::StoreError;
use attest::store::Txn;
use attest::store::Write;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const NOW: u64 = 1_800_000_000;

fn try_open(path: &Path, now: u64) -> Result<SledStore, StoreOpenError> {
    let clock = Arc::new(HandClock::default());
    clock.set(now);
    let config = StoreConfig { open_timeout: Duration::from_secs(20), ..StoreConfig::default() };
    SledStore::open(path, &config, clock, StoreMetrics::new().unwrap())
}

fn put(key: String, value: Vec<u8>, expires: Option<u64>) -> Txn {
    let write = Write::Put { key: key.into(), value, expires: expires.map(UnixSeconds) };
    Txn { guards: vec![], writes: vec![write] }
}

fn value(number: u64) -> Vec<u8> {
    format!("value {number} ").repeat(20).into_bytes()
}

async fn close(store: SledStore) {
    tokio::task::spawn_blocking(move || drop(store)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn restart_keeps_everything_and_revisions_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut newest = 0;
    for round in 0..4_u64 {
        let store = try_open(folder.path(), NOW).unwrap();
        for number in 0..round * 50 {
            let found = store.get(format!("k/{number}").as_bytes()).await.unwrap().unwrap();
            assert_eq!(found.value, value(number));
        }
        for number in round * 50..(round + 1) * 50 {
            store.commit(put(format!("k/{number}"), value(number), None)).await.unwrap();
            let rev = store.get(format!("k/{number}").as_bytes()).await.unwrap().unwrap().rev.0;
            assert!(rev > newest, "revision {rev} after {newest}");
            newest = rev;
        }
        close(store).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expired_is_swept_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let store = try_open(folder.path(), NOW).unwrap();
    for number in 0..500 {
        store.commit(put(format!("s/{number}"), value(number), Some(NOW + 60))).await.unwrap();
    }
    store.commit(put("kept".into(), value(1), Some(NOW + 1_000))).await.unwrap();
    close(store).await;
    let store = try_open(folder.path(), NOW + 60).unwrap();
    assert_eq!(store.scan(b"", None, 1_000).await.unwrap().len(), 1);
    // The sweep runs beside; with the clock put back the swept ones must not come again.
    tokio::time::sleep(Duration::from_millis(500)).await;
    close(store).await;
    let store = try_open(folder.path(), NOW).unwrap();
    assert_eq!(store.scan(b"", None, 1_000).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_store_answers_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(try_open(folder.path(), NOW).unwrap());
    let closing = Arc::clone(&store);
    tokio::task::spawn_blocking(move || closing.close()).await.unwrap();
    let stopped = |result: Result<(), StoreError>| matches!(result, Err(StoreError::Stopped(_)));
    assert!(stopped(store.commit(put("a".into(), vec![], None)).await.map(drop)));
    assert!(stopped(store.get(b"a").await.map(drop)));
    assert!(stopped(store.scan(b"a", None, 1).await.map(drop)));
}

#[tokio::test(flavor = "multi_thread")]
async fn d10_store_in_use_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _store = try_open(folder.path(), NOW).unwrap();
    assert!(matches!(try_open(folder.path(), NOW), Err(StoreOpenError::Engine(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn d7_one_flipped_bit_anywhere_is_found_or_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("good");
    let store = try_open(&good, NOW).unwrap();
    let mut expected = Vec::new();
    for number in 0..300 {
        store.commit(put(format!("k/{number:04}"), value(number), None)).await.unwrap();
    }
    for number in 0..150 {
        store.commit(put(format!("k/{number:04}"), value(number + 1_000), None)).await.unwrap();
    }
    for (key, found) in store.scan(b"", None, 1_000).await.unwrap() {
        expected.push((key, found.value));
    }
    close(store).await;

    let mut random = Random(3);
    let mut found_damage = 0;
    for round in 0..rounds(40) {
        let copy = folder.path().join("copy");
        let _ = std::fs::remove_dir_all(&copy);
        crate::support::copy(&good, &copy);
        let file = file_to_spoil(&copy, round);
        let mut octets = std::fs::read(&file).unwrap();
        // Where there is something; a flip in unused space changes nothing anyway.
        let used =
            octets.iter().rposition(|octet| *octet != 0).map_or(octets.len(), |last| last + 1);
        let at = random.below(used);
        octets[at] ^= 1 << random.below(8);
        std::fs::write(&file, octets).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        match try_open(&copy, NOW) {
            Err(error) => {
                assert!(!matches!(error, StoreOpenError::Io { .. }), "{name} at {at}: {error}");
                found_damage += 1;
            }
            Ok(store) => {
                let read = store.scan(b"", None, 1_000).await.unwrap();
                let read: Vec<_> =
                    read.into_iter().map(|(key, found)| (key, found.value)).collect();
                assert!(read == expected, "{name} at {at}: wrong data was read");
                close(store).await;
            }
        }
    }
    println!("D7: damage found at opening in {found_damage} rounds");
    assert!(found_damage > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn database_put_back_to_an_older_state_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (store_path, old) = (folder.path().join("store"), folder.path().join("old"));
    let store = try_open(&store_path, NOW).unwrap();
    store.commit(put("ticket".into(), b"new".to_vec(), None)).await.unwrap();
    close(store).await;
    crate::support::copy(&store_path.join("sled"), &old);
    let store = try_open(&store_path, NOW).unwrap();
    store.commit(put("ticket".into(), b"used".to_vec(), None)).await.unwrap();
    close(store).await;
    std::fs::remove_dir_all(store_path.join("sled")).unwrap();
    crate::support::copy(&old, &store_path.join("sled"));
    let refused = try_open(&store_path, NOW).err();
    assert!(matches!(refused, Some(StoreOpenError::WentBack { .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn d8_store_without_its_floor_is_refused_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = try_open(folder.path(), NOW).unwrap();
    store.commit(put("k".to_owned(), value(1), None)).await.unwrap();
    close(store).await;
    std::fs::remove_file(folder.path().join("floor")).unwrap();
    for _start in 0..2 {
        let refused = try_open(folder.path(), NOW).err().expect("opened without its floor");
        assert!(refused.to_string().contains("floor"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_that_takes_too_long_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(HandClock::default());
    let config = StoreConfig { open_timeout: Duration::ZERO, ..StoreConfig::default() };
    let refused =
        SledStore::open(folder.path(), &config, clock, StoreMetrics::new().unwrap()).err();
    assert!(matches!(refused, Some(StoreOpenError::TimedOut(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn scan_beside_writers_sees_whole_transactions() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(try_open(folder.path(), NOW).unwrap());
    let writer = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for round in 0..200_u64 {
                let write = |key: &str| Write::Put {
                    key: key.into(),
                    value: round.to_be_bytes().to_vec(),
                    expires: None,
                };
                let writes = vec![write("a"), write("m"), write("z")];
                store.commit(Txn { guards: vec![], writes }).await.unwrap();
            }
        })
    };
    while !writer.is_finished() {
        let found = store.scan(b"", None, 10).await.unwrap();
        let values: Vec<_> = found.into_iter().map(|(_, found)| found.value).collect();
        assert!(values.windows(2).all(|pair| pair[0] == pair[1]), "{values:?}");
    }
    writer.await.unwrap();
}

fn file_to_spoil(copy: &Path, round: usize) -> PathBuf {
    let engine = copy.join("sled");
    match round % 5 {
        0 => crate::support::files(&engine)
            .into_iter()
            .find(|path| path.file_name().unwrap().to_string_lossy().starts_with("snap."))
            .unwrap_or_else(|| engine.join("db")),
        _ => engine.join("db"),
    }
}
