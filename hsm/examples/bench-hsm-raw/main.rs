//! What the pool costs beside the token: CPU time of a signature through [`hsm::Hsm::sign`] against the bare two calls,
//! and how start, memory and the making of keys grow with the number of keys.
//!
//! ```text
//! cargo run --profile ci -p hsm --example bench-hsm-raw -- sign
//! cargo run --profile ci -p hsm --example bench-hsm-raw -- keys 10000
//! ```
//! It makes a SoftHSM token of its own (`softhsm2-util`; `TEST_PKCS11_MODULE` names another build of SoftHSM).
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measuring program may end at once"
)]

mod raw;
mod token;

use crate::raw::Raw;
use attest::activation::Requested;
use attest::algorithm::Dtbsr;
use attest::algorithm::KeyType;
use attest::danger_testing::OpenGate;
use attest::permit::HolderKey;
use attest::permit::Permit;
use attest::records::SessionLimits;
use hsm::Hsm;
use nix::sys::resource::UsageWho;
use nix::sys::resource::getrusage;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

const MESSAGE: &[u8] = b"octets to be signed";
const IN_FLIGHT: usize = 64;
const REPEATS: usize = 5;
const SIGNING_KEYS: [KeyType; 4] =
    [KeyType::Rsa2048, KeyType::Rsa3072, KeyType::P256, KeyType::P384];

fn main() {
    token::in_child(|| {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["sign"] => runtime.block_on(sign()),
            ["keys", count] => runtime.block_on(keys(count.parse().unwrap())),
            _ => println!("usage: bench-hsm-raw sign | keys <count>"),
        }
    });
}

/// CPU time per signature, raw and pooled in turn.
async fn sign() {
    let hsm = Arc::new(token::open());
    println!(
        "CPU per signature, us: median (min-max) of {REPEATS} runs; pool with {IN_FLIGHT} in flight"
    );
    for key_type in SIGNING_KEYS {
        let made = HolderKey::from(hsm.generate(key_type).await.unwrap());
        let bench = Bench::new(Arc::clone(&hsm), made).await;
        let raw = Raw::new(&token::module(), &bench.key.cka_id);
        let (mut bare, mut pooled) = (Vec::new(), Vec::new());
        for _ in 0..REPEATS {
            bare.push(raw.cpu_micros(key_type, Duration::from_secs(1)));
            pooled.push(bench.cpu_micros().await);
        }
        let ratio = median(&mut pooled) / median(&mut bare);
        println!(
            "{:9} raw {}  pool {}  ratio {ratio:.2}",
            key_type.name(),
            spread(&mut bare),
            spread(&mut pooled)
        );
    }
    hsm.shutdown().await;
}

/// A key behind a gate that is open.
struct Bench {
    hsm: Arc<Hsm>,
    world: OpenGate,
    key: Arc<HolderKey>,
}

impl Bench {
    async fn new(hsm: Arc<Hsm>, made: HolderKey) -> Self {
        let limits = SessionLimits { signatures: 10_000_000, ..SessionLimits::default() };
        let world = OpenGate::new(made, limits).await.unwrap();
        let key = Arc::clone(&world.registry.credential("key").unwrap().key);
        hsm.load(&key).await.unwrap();
        Self { hsm, world, key }
    }

    /// CPU time of one signature of the pool; the permits are made before.
    async fn cpu_micros(&self) -> f64 {
        let count = if self.key.key_type.rsa_bits().is_some() { 512 } else { 4096 };
        let mut permits = Vec::with_capacity(count);
        for _ in 0..count {
            permits.push(self.permit().await);
        }
        let mut shares: Vec<Vec<Permit>> = (0..IN_FLIGHT).map(|_| Vec::new()).collect();
        for (n, permit) in permits.into_iter().enumerate() {
            shares[n % IN_FLIGHT].push(permit);
        }
        let before = cpu();
        let mut tasks = JoinSet::new();
        for share in shares {
            let hsm = Arc::clone(&self.hsm);
            tasks.spawn(async move {
                for permit in share {
                    hsm.sign(permit).await.unwrap();
                }
            });
        }
        tasks.join_all().await;
        (cpu() - before).as_secs_f64() * 1e6 / count as f64
    }

    async fn permit(&self) -> Permit {
        let dtbsr = Dtbsr::of(self.key.key_type.digest(), MESSAGE);
        let (permit, _lease) = self.world.permit(Requested::Octets(dtbsr)).await.unwrap();
        permit.bind_octets(MESSAGE).unwrap()
    }
}

/// How making keys, starting, memory and signing grow. CPU time, because machines are shared.
async fn keys(count: usize) {
    const SOME: usize = 20;
    let hsm = Arc::new(token::open());
    let maker = Raw::session(&token::module());
    let mut keys = Vec::with_capacity(count);
    let (mut few, mut many) = (Growth::default(), Growth::default());
    for n in 0..count {
        let before = cpu();
        let key = Arc::new(HolderKey::from(hsm.generate(KeyType::P256).await.unwrap()));
        hsm.load(&key).await.unwrap();
        let pool = cpu() - before;
        if n == 0 {
            few.sign = Bench::new(Arc::clone(&hsm), (*key).clone()).await.cpu_micros().await;
        } else if n <= SOME {
            few.note(pool, &maker);
        } else if n + SOME >= count {
            many.note(pool, &maker);
        }
        keys.push(key);
    }
    many.sign = Bench::new(Arc::clone(&hsm), (*keys.last().unwrap()).as_ref().clone())
        .await
        .cpu_micros()
        .await;
    for (name, growth) in [("few keys", &mut few), ("all keys", &mut many)] {
        println!(
            "{name}: make and load a P-256 key {:.2} ms CPU (bare C_GenerateKeyPair {:.2}), sign {:.1} us CPU",
            median(&mut growth.pool_ms),
            median(&mut growth.bare_ms),
            growth.sign
        );
    }
    hsm.shutdown().await;
    drop((hsm, maker));
    start(keys).await;
}

/// Figures at one number of keys.
#[derive(Default)]
struct Growth {
    pool_ms: Vec<f64>,
    bare_ms: Vec<f64>,
    sign: f64,
}

impl Growth {
    fn note(&mut self, pool: Duration, maker: &raw::Maker) {
        let before = cpu();
        let made = maker.make();
        self.bare_ms.push((cpu() - before).as_secs_f64() * 1e3);
        maker.destroy(made);
        self.pool_ms.push(pool.as_secs_f64() * 1e3);
    }
}

/// Start against the bare enumeration, in turn.
async fn start(keys: Vec<Arc<HolderKey>>) {
    println!("start, ms CPU: bare = C_Initialize, login, one enumeration reading each CKA_ID");
    for _ in 0..REPEATS {
        let before = cpu();
        let objects = Raw::enumerate(&token::module());
        let bare = (cpu() - before).as_secs_f64() * 1e3;
        let (before, resident) = (cpu(), resident_kb());
        let hsm = token::open();
        let opened = (cpu() - before).as_secs_f64() * 1e3;
        let loaded = hsm.load_all(keys.clone()).await.unwrap();
        let full = (cpu() - before).as_secs_f64() * 1e3;
        assert_eq!(loaded.in_service, keys.len());
        let grown = resident_kb().saturating_sub(resident);
        println!(
            "  bare {bare:.0} ({objects} objects)  open {opened:.0}, with load_all {full:.0}  ratio {:.2}  RSS +{grown} kB",
            full / bare
        );
        hsm.shutdown().await;
    }
}

/// User and system time of this process.
fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let micros = |time: nix::sys::time::TimeVal| {
        Duration::from_micros(time.tv_sec() as u64 * 1_000_000 + time.tv_usec() as u64)
    };
    micros(usage.user_time()) + micros(usage.system_time())
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn spread(values: &mut [f64]) -> String {
    let median = median(values);
    format!("{median:7.1} ({:.1}-{:.1})", values[0], values[values.len() - 1])
}
