//! Counters and one-time tickets in a store, and what must be there of them.

use crate::durability::say;
use appliance::store::SledStore;
use appliance::store::StoreConfig;
use appliance::store::StoreMetrics;
use appliance::time::DurableClock;
use appliance::time::SystemWallClock;
use appliance::time::TimeFloor;
use attest::clock::UnixSeconds;
use attest::store::Guard;
use attest::store::Outcome;
use attest::store::Store;
use attest::store::StoreError;
use attest::store::Txn;
use attest::store::Versioned;
use attest::store::Write;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What a worker acknowledged, over all its lives.
#[derive(Debug, Default)]
pub struct Acknowledged {
    /// Newest value of each counter.
    pub counters: BTreeMap<String, u64>,
    /// Tickets used up.
    pub used: BTreeSet<String>,
}

impl Acknowledged {
    /// Takes one line of a worker.
    pub fn hear(&mut self, line: &str) {
        let mut words = line.split(' ');
        match (words.next(), words.next(), words.next()) {
            (Some("c"), Some(counter), Some(value)) => {
                let value = value.parse().unwrap_or(0);
                let known = self.counters.entry(counter.to_owned()).or_insert(0);
                *known = (*known).max(value);
            }
            (Some("t"), Some(ticket), None) => drop(self.used.insert(ticket.to_owned())),
            _ => {}
        }
    }
}

/// Opens the store in `directory`.
///
/// # Errors
/// As text.
pub fn open(directory: &Path) -> Result<SledStore, String> {
    let metrics = StoreMetrics::new().map_err(|error| error.to_string())?;
    let wall = Arc::new(SystemWallClock);
    let clock = DurableClock::new(wall, TimeFloor::default(), DurableClock::DEFAULT_GRACE);
    let config = StoreConfig { commit_timeout: Duration::from_secs(5), ..StoreConfig::default() };
    SledStore::open(directory, &config, Arc::new(clock), metrics).map_err(|error| error.to_string())
}

/// Counts with `tasks` tasks until each has done `total` steps or the store stops. A step is one transaction that counts
/// and leaves a record, and says `c <counter> <value>`; every fifth also makes a ticket and uses it up: `t <ticket>`.
///
/// # Errors
/// As text, when the store does not open or stops.
pub async fn run(directory: &Path, life: u64, tasks: u64, total: u64) -> Result<(), String> {
    let store = Arc::new(open(directory)?);
    say("ready");
    let running: Vec<_> = (0..tasks)
        .map(|task| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for step in 0..total {
                    count(&*store, &format!("w{task}")).await?;
                    if step % 5 == 0 {
                        use_ticket(&*store, &format!("{life}.{task}.{step}")).await?;
                    }
                }
                Ok::<(), String>(())
            })
        })
        .collect();
    let mut result = Ok(());
    for task in running {
        let ended = task.await.map_err(|error| error.to_string()).and_then(|ended| ended);
        result = result.and(ended);
    }
    let closing = Arc::clone(&store);
    let closed = tokio::task::spawn_blocking(move || closing.close()).await;
    result.and(closed.map_err(|error| error.to_string()))
}

async fn count(store: &dyn Store, counter: &str) -> Result<(), String> {
    let key = format!("c/{counter}");
    let found = get(store, &key).await?;
    let next = found.as_ref().map_or(0, value_of) + 1;
    let guard = match found {
        Some(found) => Guard::Rev(key.clone().into(), found.rev),
        None => Guard::Absent(key.clone().into()),
    };
    let writes = vec![
        put(&key, next.to_string().into_bytes()),
        put(&format!("r/{counter}/{next:010}"), record(counter, next)),
    ];
    match commit(store, Txn { guards: vec![guard], writes }).await? {
        Outcome::Committed => say(&format!("c {counter} {next}")),
        Outcome::Conflict => return Err(format!("{counter} was counted by somebody else")),
    }
    Ok(())
}

async fn use_ticket(store: &dyn Store, ticket: &str) -> Result<(), String> {
    let key = format!("t/{ticket}");
    let guards = vec![Guard::Absent(key.clone().into())];
    commit(store, Txn { guards, writes: vec![put(&key, b"new".to_vec())] }).await?;
    let found = get(store, &key).await?.ok_or("a ticket is gone")?;
    let guards = vec![Guard::Rev(key.clone().into(), found.rev)];
    match commit(store, Txn { guards, writes: vec![put(&key, b"used".to_vec())] }).await? {
        Outcome::Committed => say(&format!("t {ticket}")),
        Outcome::Conflict => return Err(format!("ticket {ticket} was used by somebody else")),
    }
    Ok(())
}

/// Commits; a full disk is waited for.
async fn commit(store: &dyn Store, txn: Txn) -> Result<Outcome, String> {
    loop {
        match store.commit(txn.clone()).await {
            Ok(outcome) => return Ok(outcome),
            Err(StoreError::Busy) => {
                say("full");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Shows that no acknowledged step is lost, no transaction is torn, and no used ticket can be used again.
///
/// # Errors
/// What is wrong.
pub fn check(directory: &Path, acknowledged: &Acknowledged) -> Result<u64, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let store = open(directory)?;
    let checked = runtime.block_on(check_content(&store, acknowledged));
    store.close();
    checked
}

async fn check_content(store: &dyn Store, acknowledged: &Acknowledged) -> Result<u64, String> {
    let mut counted = 0;
    for (counter, least) in &acknowledged.counters {
        let found = get(store, &format!("c/{counter}")).await?;
        let value = found.as_ref().map_or(0, value_of);
        if value < *least {
            return Err(format!("counter {counter} is {value}, {least} was acknowledged"));
        }
        counted += check_records(store, counter, value).await?;
    }
    for ticket in &acknowledged.used {
        let key = format!("t/{ticket}");
        let found = get(store, &key).await?.map(|found| found.value);
        if found.as_deref() != Some(b"used") {
            return Err(format!("ticket {ticket} was used and is {found:?}"));
        }
    }
    Ok(counted)
}

/// The records of a counter are exactly those up to its value.
async fn check_records(store: &dyn Store, counter: &str, value: u64) -> Result<u64, String> {
    let prefix = format!("r/{counter}/");
    let (mut next, mut after) = (1, None::<Vec<u8>>);
    loop {
        let page = store.scan(prefix.as_bytes(), after.as_deref(), 500).await;
        let page = page.map_err(|error| error.to_string())?;
        let Some((last, _)) = page.last() else {
            break;
        };
        after = Some(last.clone());
        for (key, found) in &page {
            if *key != format!("{prefix}{next:010}").into_bytes() {
                return Err(format!("{counter}: record {next} is missing"));
            }
            if found.value != record(counter, next) {
                return Err(format!("{counter}: record {next} is not what was written"));
            }
            next += 1;
        }
    }
    match next == value + 1 {
        true => Ok(value),
        false => Err(format!("{counter} is {value}, but has {} records", next - 1)),
    }
}

async fn get(store: &dyn Store, key: &str) -> Result<Option<Versioned>, String> {
    store.get(key.as_bytes()).await.map_err(|error| error.to_string())
}

fn put(key: &str, value: Vec<u8>) -> Write {
    // Every write also goes through the expiry index.
    Write::Put { key: key.into(), value, expires: Some(UnixSeconds(4_000_000_000)) }
}

fn record(counter: &str, number: u64) -> Vec<u8> {
    format!("{counter} {number} ").repeat(16).into_bytes()
}

fn value_of(found: &Versioned) -> u64 {
    std::str::from_utf8(&found.value).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}
