//! What every implementation of [`Store`] owes its callers. Each adapter is put through all of it.
//!
//! To add an engine, give [`conforms!`] a name and an expression that makes an empty store whose time is the clock given.

use appliance::store::SledStore;
use appliance::store::StoreConfig;
use appliance::store::StoreMetrics;
use attest::clock::Clock;
use attest::clock::UnixSeconds;
use attest::danger_testing::HandClock;
use attest::store::Guard;
use attest::store::Key;
use attest::store::MAX_KEY_BYTES;
use attest::store::MAX_TXN_OPS;
use attest::store::MAX_VALUE_BYTES;
use attest::store::Outcome;
use attest::store::Rev;
use attest::store::Store;
use attest::store::StoreError;
use attest::store::Txn;
use attest::store::Versioned;
use attest::store::Write;
use std::sync::Arc;

const NOW: u64 = 1_800_000_000;

struct World {
    store: Arc<dyn Store>,
    clock: Arc<HandClock>,
}

fn put(key: &str, value: &str) -> Write {
    Write::Put { key: key.into(), value: value.into(), expires: None }
}

fn put_until(key: &str, value: &str, expires: u64) -> Write {
    let expires = Some(UnixSeconds(expires));
    Write::Put { key: key.into(), value: value.into(), expires }
}

impl World {
    async fn commit(&self, guards: Vec<Guard>, writes: Vec<Write>) -> Outcome {
        self.store.commit(Txn { guards, writes }).await.unwrap()
    }

    async fn get(&self, key: &str) -> Option<Versioned> {
        self.store.get(key.as_bytes()).await.unwrap()
    }

    async fn value(&self, key: &str) -> Option<String> {
        self.get(key).await.map(|found| String::from_utf8(found.value).unwrap())
    }

    async fn keys(&self, prefix: &str, after: Option<&str>, limit: usize) -> Vec<String> {
        let after = after.map(str::as_bytes);
        let found = self.store.scan(prefix.as_bytes(), after, limit).await.unwrap();
        found.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect()
    }
}

async fn written_value_is_read_and_deleted_one_is_gone(world: World) {
    assert_eq!(world.value("a").await, None);
    assert_eq!(world.commit(vec![], vec![put("a", "1")]).await, Outcome::Committed);
    assert_eq!(world.value("a").await.as_deref(), Some("1"));
    assert_eq!(world.commit(vec![], vec![Write::Delete("a".into())]).await, Outcome::Committed);
    assert_eq!(world.value("a").await, None);
    // Deleting what is absent is no error.
    assert_eq!(world.commit(vec![], vec![Write::Delete("a".into())]).await, Outcome::Committed);
    assert_eq!(world.commit(vec![], vec![put("a", "")]).await, Outcome::Committed);
    assert_eq!(world.value("a").await.as_deref(), Some(""));
}

async fn every_write_changes_the_revision_and_no_revision_comes_back(world: World) {
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..10 {
        world.commit(vec![], vec![put("a", "same")]).await;
        assert!(seen.insert(world.get("a").await.unwrap().rev), "round {round}");
        if round % 3 == 0 {
            world.commit(vec![], vec![Write::Delete("a".into())]).await;
        }
    }
}

async fn guards_hold_or_nothing_happens(world: World) {
    world.commit(vec![], vec![put("a", "1")]).await;
    let rev = world.get("a").await.unwrap().rev;
    let absent = |key: &str| Guard::Absent(key.into());
    let exists = |key: &str| Guard::Exists(key.into());
    let at = |key: &str, rev| Guard::Rev(key.into(), rev);
    let cases: [(Vec<Guard>, Outcome); 9] = [
        (vec![absent("a")], Outcome::Conflict),
        (vec![absent("b")], Outcome::Committed),
        (vec![exists("a")], Outcome::Committed),
        (vec![exists("c")], Outcome::Conflict),
        (vec![at("a", rev)], Outcome::Committed),
        (vec![at("a", Rev(rev.0 + 1_000))], Outcome::Conflict),
        (vec![at("c", rev)], Outcome::Conflict),
        (vec![at("a", rev), absent("a")], Outcome::Conflict),
        (vec![exists("a"), absent("c")], Outcome::Committed),
    ];
    for (number, (guards, expected)) in cases.into_iter().enumerate() {
        let mark = format!("mark-{number}");
        assert_eq!(world.commit(guards, vec![put(&mark, "x")]).await, expected, "case {number}");
        assert_eq!(world.get(&mark).await.is_some(), expected == Outcome::Committed);
    }
    assert_eq!(world.get("a").await.unwrap().rev, rev);
    // Guards alone are a question.
    assert_eq!(world.commit(vec![exists("a")], vec![]).await, Outcome::Committed);
    assert_eq!(world.commit(vec![absent("a")], vec![]).await, Outcome::Conflict);
}

async fn all_writes_of_a_transaction_are_seen_or_none(world: World) {
    world.commit(vec![], vec![put("a", "1"), put("b", "1"), put("c", "1")]).await;
    let writes = vec![put("a", "2"), Write::Delete("b".into()), put("d", "2")];
    let refused = world.commit(vec![Guard::Absent("c".into())], writes.clone()).await;
    assert_eq!(refused, Outcome::Conflict);
    assert_eq!(world.keys("", None, 10).await, ["a", "b", "c"]);
    assert_eq!(world.value("a").await.as_deref(), Some("1"));
    world.commit(vec![], writes).await;
    assert_eq!(world.keys("", None, 10).await, ["a", "c", "d"]);
    // The last write of a key in one transaction stands.
    world.commit(vec![], vec![put("e", "1"), put("e", "2"), Write::Delete("a".into())]).await;
    assert_eq!(world.value("e").await.as_deref(), Some("2"));
    world.commit(vec![], vec![put("f", "1"), Write::Delete("f".into())]).await;
    assert_eq!(world.value("f").await, None);
}

async fn of_many_contenders_for_one_revision_exactly_one_wins(world: World) {
    for round in 0..10 {
        world.commit(vec![], vec![put("ticket", "new")]).await;
        let rev = world.get("ticket").await.unwrap().rev;
        let tasks: Vec<_> = (0..32)
            .map(|number| {
                let store = Arc::clone(&world.store);
                let txn = Txn {
                    guards: vec![Guard::Rev("ticket".into(), rev)],
                    writes: vec![put("ticket", &format!("used by {number}"))],
                };
                tokio::spawn(async move { (number, store.commit(txn).await.unwrap()) })
            })
            .collect();
        let mut winners = Vec::new();
        for task in tasks {
            let (number, outcome) = task.await.unwrap();
            if outcome == Outcome::Committed {
                winners.push(number);
            }
        }
        assert_eq!(winners.len(), 1, "round {round}");
        let value = world.value("ticket").await.unwrap();
        assert_eq!(value, format!("used by {}", winners[0]));
    }
}

async fn of_many_who_create_one_key_exactly_one_succeeds(world: World) {
    let tasks: Vec<_> = (0..32)
        .map(|number| {
            let store = Arc::clone(&world.store);
            let guards = vec![Guard::Absent("unique".into())];
            let txn = Txn { guards, writes: vec![put("unique", &number.to_string())] };
            tokio::spawn(async move { store.commit(txn).await.unwrap() })
        })
        .collect();
    let mut created = 0;
    for task in tasks {
        created += usize::from(task.await.unwrap() == Outcome::Committed);
    }
    assert_eq!(created, 1);
}

async fn contended_counter_loses_no_increment(world: World) {
    world.commit(vec![], vec![put("counter", "0")]).await;
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let store = Arc::clone(&world.store);
            tokio::spawn(async move {
                for _ in 0..20 {
                    loop {
                        let found = store.get(b"counter").await.unwrap().unwrap();
                        let next =
                            String::from_utf8(found.value).unwrap().parse::<u64>().unwrap() + 1;
                        let txn = Txn {
                            guards: vec![Guard::Rev("counter".into(), found.rev)],
                            writes: vec![put("counter", &next.to_string())],
                        };
                        if store.commit(txn).await.unwrap() == Outcome::Committed {
                            break;
                        }
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(world.value("counter").await.as_deref(), Some("160"));
}

async fn expired_value_reads_as_absent_everywhere(world: World) {
    world.commit(vec![], vec![put_until("s/1", "x", NOW + 10), put("s/2", "x")]).await;
    world.clock.set(NOW + 9);
    assert!(world.get("s/1").await.is_some());
    world.clock.set(NOW + 10);
    assert_eq!(world.get("s/1").await, None);
    assert_eq!(world.keys("s/", None, 10).await, ["s/2"]);
    assert_eq!(world.commit(vec![Guard::Exists("s/1".into())], vec![]).await, Outcome::Conflict);
    let again = world.commit(vec![Guard::Absent("s/1".into())], vec![put("s/1", "new")]).await;
    assert_eq!(again, Outcome::Committed);
    world.clock.set(NOW + 1_000_000);
    assert_eq!(world.value("s/1").await.as_deref(), Some("new"));
}

async fn writing_again_replaces_the_expiry(world: World) {
    world.commit(vec![], vec![put_until("s", "1", NOW + 10)]).await;
    world.commit(vec![], vec![put_until("s", "2", NOW + 20)]).await;
    world.clock.set(NOW + 15);
    assert_eq!(world.value("s").await.as_deref(), Some("2"));
    world.commit(vec![], vec![put("s", "3")]).await;
    world.clock.set(NOW + 1_000_000);
    assert_eq!(world.value("s").await.as_deref(), Some("3"));
}

async fn scan_gives_keys_in_order_by_prefix_page_by_page(world: World) {
    for key in ["b/2", "a/1", "b/10", "b/1", "b", "c/1", "b0"] {
        world.commit(vec![], vec![put(key, key)]).await;
    }
    assert_eq!(world.keys("b/", None, 10).await, ["b/1", "b/10", "b/2"]);
    assert_eq!(world.keys("", None, 100).await, ["a/1", "b", "b/1", "b/10", "b/2", "b0", "c/1"]);
    assert_eq!(world.keys("b/", None, 2).await, ["b/1", "b/10"]);
    assert_eq!(world.keys("b/", Some("b/10"), 2).await, ["b/2"]);
    assert_eq!(world.keys("b/", Some("b/2"), 2).await, Vec::<String>::new());
    // A place to go on from need not exist, and may lie in front of the prefix.
    assert_eq!(world.keys("b/", Some("b/11"), 2).await, ["b/2"]);
    assert_eq!(world.keys("b/", Some("a"), 10).await, ["b/1", "b/10", "b/2"]);
    assert_eq!(world.keys("d", None, 10).await, Vec::<String>::new());
    assert_eq!(world.keys("", None, 0).await, Vec::<String>::new());
}

async fn keys_and_values_of_any_octets_are_kept(world: World) {
    let keys: Vec<Key> = vec![vec![0], vec![0xff; 3], b"\x00\xff/\n".to_vec(), vec![0xff; 4]];
    for key in &keys {
        let value: Vec<u8> = (0..=255).collect();
        let writes = vec![Write::Put { key: key.clone(), value, expires: None }];
        world.store.commit(Txn { guards: vec![], writes }).await.unwrap();
    }
    for key in &keys {
        let found = world.store.get(key).await.unwrap().unwrap();
        assert_eq!(found.value, (0..=255).collect::<Vec<u8>>());
    }
    let found = world.store.scan(&[0xff], None, 10).await.unwrap();
    assert_eq!(found.len(), 2);
}

async fn limits_are_kept_to_the_octet(world: World) {
    let put = |key: usize, value: usize| Txn {
        guards: vec![],
        writes: vec![Write::Put { key: vec![b'k'; key], value: vec![7; value], expires: None }],
    };
    let commit = |txn| world.store.commit(txn);
    assert!(commit(put(MAX_KEY_BYTES, 1)).await.is_ok());
    assert!(matches!(commit(put(MAX_KEY_BYTES + 1, 1)).await, Err(StoreError::Limit(_))));
    assert!(matches!(world.store.get(&[1; MAX_KEY_BYTES + 1]).await, Err(StoreError::Limit(_))));
    assert!(commit(put(1, MAX_VALUE_BYTES)).await.is_ok());
    assert_eq!(world.get("k").await.unwrap().value.len(), MAX_VALUE_BYTES);
    assert!(matches!(commit(put(1, MAX_VALUE_BYTES + 1)).await, Err(StoreError::Limit(_))));
    let many = |count: usize| Txn {
        guards: vec![Guard::Absent("none".into())],
        writes: (1..count).map(|number| self::put(&format!("m/{number}"), "x")).collect(),
    };
    assert!(commit(many(MAX_TXN_OPS)).await.is_ok());
    assert_eq!(world.keys("m/", None, 1_000).await.len(), MAX_TXN_OPS - 1);
    assert!(matches!(commit(many(MAX_TXN_OPS + 1)).await, Err(StoreError::Limit(_))));
}

/// Random transactions against a plain map that does the same.
async fn random_transactions_do_what_a_map_does(world: World) {
    let mut random = crate::support::Random(7);
    let mut model = std::collections::BTreeMap::<String, String>::new();
    for round in 0..400 {
        let key = |random: &mut crate::support::Random| format!("k{}", random.below(12));
        let mut txn = Txn::default();
        let mut holds = true;
        for _ in 0..random.below(3) {
            let key = key(&mut random);
            let exists = random.below(2) == 0;
            holds &= model.contains_key(&key) == exists;
            txn.guards.push(match exists {
                true => Guard::Exists(key.into()),
                false => Guard::Absent(key.into()),
            });
        }
        let mut next = model.clone();
        for _ in 0..random.below(4) {
            let key = key(&mut random);
            if random.below(3) == 0 {
                next.remove(&key);
                txn.writes.push(Write::Delete(key.into()));
            } else {
                let value = random.next().to_string();
                next.insert(key.clone(), value.clone());
                txn.writes.push(put(&key, &value));
            }
        }
        let outcome = world.store.commit(txn).await.unwrap();
        assert_eq!(outcome == Outcome::Committed, holds, "round {round}");
        if holds {
            model = next;
        }
    }
    let found = world.store.scan(b"", None, 100).await.unwrap();
    let found: Vec<_> = found
        .into_iter()
        .map(|(key, found)| {
            (String::from_utf8(key).unwrap(), String::from_utf8(found.value).unwrap())
        })
        .collect();
    assert_eq!(found, model.into_iter().collect::<Vec<_>>());
}

macro_rules! conforms {
    ($engine:ident, $make:expr, $($promise:ident)*) => {
        mod $engine {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $promise() {
                    let clock = Arc::new(HandClock::default());
                    clock.set(NOW);
                    let (_guard, store) = $make(clock.clone());
                    super::$promise(World { store, clock }).await;
                }
            )*
        }
    };
}

fn sled_store(clock: Arc<HandClock>) -> (tempfile::TempDir, Arc<dyn Store>) {
    let directory = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = clock;
    let metrics = StoreMetrics::new().unwrap();
    let path = directory.path().join("store");
    let store = SledStore::open(&path, &StoreConfig::default(), clock, metrics).unwrap();
    (directory, Arc::new(store))
}

conforms! {
    sled, sled_store,
    written_value_is_read_and_deleted_one_is_gone
    every_write_changes_the_revision_and_no_revision_comes_back
    guards_hold_or_nothing_happens
    all_writes_of_a_transaction_are_seen_or_none
    of_many_contenders_for_one_revision_exactly_one_wins
    of_many_who_create_one_key_exactly_one_succeeds
    contended_counter_loses_no_increment
    expired_value_reads_as_absent_everywhere
    writing_again_replaces_the_expiry
    scan_gives_keys_in_order_by_prefix_page_by_page
    keys_and_values_of_any_octets_are_kept
    limits_are_kept_to_the_octet
    random_transactions_do_what_a_map_does
}
