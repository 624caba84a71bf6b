//! What the embedded store costs, each beside a yardstick of the same run, in the same folder, on the same bytes.
//! Prints one line of JSON each; `cargo xtask bench` makes the table.

#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::join_all;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use sublet_model::Clock;
use sublet_model::{EventId, FunctionId, IdMint, InvocationId, Outcome, SystemClock, TenantId, Timestamp, Usage};
use sublet_store::{
    AttemptEnd, Bus, Claim, EventStatus, Identity, Lease, NewEvent, NewInvocation, Next, Ownership, Published, Queue,
    Settle, Store,
};
use sublet_store_sqlite::{SqliteOptions, SqliteStore};

const BATCH: usize = 256;
const TENANTS: i64 = 100_000;
const BODY_BYTES: usize = 300;

fn main() {
    // `cargo bench` and `cargo test --benches` hand over arguments; a name picks one.
    let only: Option<String> = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    if wanted("accept") {
        runtime.block_on(accept(&folder.path().join("accept")));
    }
    if wanted("life_cycle") {
        runtime.block_on(life_cycle(&folder.path().join("life_cycle")));
    }
    if wanted("clients") {
        runtime.block_on(clients(&folder.path().join("clients")));
    }
    if wanted("long") {
        runtime.block_on(long(&folder.path().join("long")));
    }
}

/// `bar` is the greatest ratio that is good enough, where there is one.
fn report(bench: &str, value: f64, unit: &str, yardstick: &str, yardstick_value: f64, bar: Option<f64>) {
    let bar = bar.map_or("null".to_owned(), |bar| bar.to_string());
    println!(
        "{{\"bench\":\"{bench}\",\"value\":{value:.3},\"unit\":\"{unit}\",\"yardstick\":\"{yardstick}\",\
         \"yardstick_value\":{yardstick_value:.3},\"ratio\":{:.2},\"bar\":{bar}}}",
        value / yardstick_value
    );
}

/// CPU time of the whole process, or of this thread.
fn cpu(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a timespec of ours that lives as long as the call.
    let done = unsafe { libc::clock_gettime(clock, &mut time) };
    assert_eq!(done, 0);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

fn now() -> Timestamp {
    SystemClock.now()
}

struct Generator {
    mint: Arc<Mutex<IdMint>>,
    random: SmallRng,
    body: Bytes,
    trace: Bytes,
    result: Bytes,
    log: Bytes,
}

impl Generator {
    fn new() -> Generator {
        let body = format!("{{\"detail\":\"{}\"}}", "x".repeat(BODY_BYTES - 13));
        Generator {
            mint: Arc::new(Mutex::new(IdMint::new(1, 0))),
            random: SmallRng::seed_from_u64(7),
            body: body.into(),
            trace: Bytes::from_static(b"[{\"rule\":\"enrich\",\"target\":0}]"),
            result: Bytes::from_static(b"{\"due\":\"2026-11-23\",\"tags\":[\"home\",\"garden\"],\"score\":7}"),
            log: Bytes::from_static(b"enriched the item\n"),
        }
    }

    /// One of many: like those of one server, they share a mint.
    fn of_client(client: usize, mint: Arc<Mutex<IdMint>>) -> Generator {
        Generator { mint, random: SmallRng::seed_from_u64(client as u64), ..Generator::new() }
    }

    fn event(&mut self, consumes: Option<i64>) -> NewEvent {
        let moment = now();
        let tenant = TenantId::from_raw(self.random.random_range(1..=TENANTS));
        let (id, invocation) = {
            let mut mint = self.mint.lock().unwrap();
            (EventId::from_raw(mint.next(moment)), InvocationId::from_raw(mint.next(moment)))
        };
        let identity = Identity { key: self.random.random(), body: self.random.random() };
        NewEvent {
            id,
            tenant: Some(tenant),
            identity: Some(identity),
            depth: 0,
            status: EventStatus::Matched,
            trace: self.trace.clone(),
            trace_context: None,
            body: self.body.clone(),
            invocations: vec![NewInvocation {
                id: invocation,
                tenant,
                function: FunctionId::from_raw(tenant.raw()),
                event: Some(id),
                due: moment,
                retry: None,
                input: None,
                dead_letter: None,
            }],
            deliveries: Vec::new(),
            messages: Vec::new(),
            consumes,
        }
    }

    fn settle(&self, lease: Lease) -> Settle {
        let moment = now();
        Settle {
            lease,
            end: AttemptEnd {
                started: moment,
                ended: moment,
                version: 1,
                outcome: Outcome::Succeeded,
                usage: Usage {
                    wall_us: 412,
                    cpu_us: 93,
                    memory_peak_bytes: 3 << 20,
                    memory_limit_bytes: 128 << 20,
                    bytes_in: 300,
                    bytes_out: 75,
                    ..Usage::default()
                },
                result: Some(self.result.clone()),
                failure: None,
                log: self.log.clone(),
                fetches: None,
            },
            next: Next::Succeed,
            announce: true,
            message: None,
        }
    }

    /// The bytes of an accept, as a log would hold them: ids, identity, trace, body.
    fn log_accept(&self, event: &NewEvent, log: &mut Vec<u8>) {
        for id in [event.id.raw(), event.tenant.map_or(0, TenantId::raw), event.invocations[0].id.raw()] {
            log.extend_from_slice(&id.to_le_bytes());
        }
        let identity = event.identity.unwrap();
        log.extend_from_slice(&identity.key);
        log.extend_from_slice(&identity.body);
        log.extend_from_slice(&event.trace);
        log.extend_from_slice(&event.body);
    }

    /// The rest of a life cycle: the claim, the attempt with its ledger line, the outbox line and its end.
    fn log_rest(&self, settle: &Settle, log: &mut Vec<u8>) {
        let (lease, end) = (&settle.lease, &settle.end);
        let claim = [lease.invocation.raw(), end.started.millis()];
        let usage = [end.usage.wall_us, end.usage.cpu_us, end.usage.memory_peak_bytes, end.usage.memory_limit_bytes];
        let attempt = [lease.invocation.raw(), lease.tenant.raw(), end.started.millis(), end.ended.millis()];
        let outbox = [lease.invocation.raw(), lease.tenant.raw(), lease.invocation.raw()];
        for number in claim.into_iter().chain(attempt).chain(usage.map(u64::cast_signed)).chain(outbox) {
            log.extend_from_slice(&number.to_le_bytes());
        }
        log.extend_from_slice(end.result.as_deref().unwrap());
        log.extend_from_slice(&end.log);
    }
}

/// The yardstick: a log whose blocks are there, written and synced.
struct RawLog {
    file: File,
    at: u64,
    length: u64,
}

impl RawLog {
    fn new(path: &Path, length: u64) -> RawLog {
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(path).unwrap();
        for _ in 0..length >> 20 {
            file.write_all(&vec![0; 1 << 20]).unwrap();
        }
        file.sync_all().unwrap();
        RawLog { file, at: 0, length }
    }

    fn append(&mut self, bytes: &[u8]) {
        if self.at + bytes.len() as u64 > self.length {
            self.at = 0;
        }
        self.file.write_all_at(bytes, self.at).unwrap();
        self.at += bytes.len() as u64;
        self.file.sync_data().unwrap();
    }
}

fn open(folder: &Path) -> Arc<SqliteStore> {
    SqliteStore::open(folder, SqliteOptions::default()).unwrap()
}

fn median(samples: &mut [Duration]) -> f64 {
    samples.sort_unstable();
    samples[samples.len() / 2].as_secs_f64() * 1e6
}

/// One client, one event at a time. Blocks of both take turns, since the machine's disk changes its mood.
async fn accept(folder: &Path) {
    const BLOCKS: usize = 20;
    const BLOCK: usize = 100;
    let store = open(folder);
    let mut log = RawLog::new(&folder.join("raw"), 16 << 20);
    let mut generator = Generator::new();
    let (mut accepts, mut syncs) = (Vec::new(), Vec::new());
    for block in 0..BLOCKS {
        for _ in 0..BLOCK {
            let event = generator.event(None);
            let started = Instant::now();
            let answers = store.publish(vec![event], now()).await.unwrap();
            let took = started.elapsed();
            assert_eq!(answers, [Published::Accepted]);
            if block > 0 {
                accepts.push(took);
            }
        }
        for _ in 0..BLOCK {
            let mut bytes = Vec::new();
            let event = generator.event(None);
            generator.log_accept(&event, &mut bytes);
            let started = Instant::now();
            log.append(&bytes);
            if block > 0 {
                syncs.push(started.elapsed());
            }
        }
    }
    let (accepts, syncs) = (median(&mut accepts), median(&mut syncs));
    report(
        "one durable accept through the store, p50",
        accepts,
        "us",
        "fdatasync of the same bytes, preallocated",
        syncs,
        Some(1.5),
    );
    store.close().await.unwrap();
}

/// What one round hands to the next.
#[derive(Default)]
struct Carried {
    accepted: Vec<(InvocationId, TenantId)>,
    outbox: Vec<i64>,
}

/// 256 accepts, 256 claims, 256 completes and the consumption of 256 outbox lines, handed over together.
/// Answers also what making them up cost this thread.
async fn round(
    store: &SqliteStore,
    generator: &mut Generator,
    ownership: &Ownership,
    carried: Carried,
) -> (Carried, Duration) {
    let started = cpu(libc::CLOCK_THREAD_CPUTIME_ID);
    let mut lines = carried.outbox.into_iter();
    let events: Vec<NewEvent> = (0..BATCH).map(|_| generator.event(lines.next())).collect();
    let accepted: Vec<_> = events.iter().map(|e| (e.invocations[0].id, e.invocations[0].tenant)).collect();
    let leases: Vec<Lease> = carried
        .accepted
        .iter()
        .map(|(invocation, tenant)| Lease {
            invocation: *invocation,
            tenant: *tenant,
            epoch: ownership.epoch_of(*tenant).unwrap(),
            token: 1,
        })
        .collect();
    let moment = now();
    let claims: Vec<Claim> = leases
        .iter()
        .map(|lease| Claim { lease: *lease, at: moment, until: moment + Duration::from_secs(30) })
        .collect();
    let settles: Vec<Settle> = leases.iter().map(|lease| generator.settle(*lease)).collect();

    let made_up = cpu(libc::CLOCK_THREAD_CPUTIME_ID) - started;
    let publish = store.publish(events, moment);
    let claimed = store.claim(claims);
    let settled = join_all(settles.into_iter().map(|settle| store.settle(settle)));
    let (published, settled) = futures::future::join(publish, settled).await;
    assert!(published.unwrap().iter().all(|answer| *answer == Published::Accepted));
    assert!(claimed.await.unwrap().iter().all(Result::is_ok));
    let outbox = settled.into_iter().map(|settled| settled.unwrap().outbox.unwrap()).collect();
    (Carried { accepted, outbox }, made_up)
}

async fn life_cycle(folder: &Path) {
    // Fewer for a profiler that counts instructions.
    let rounds: usize = std::env::var("ROUNDS").map_or(1_000, |text| text.parse().unwrap());
    let warm = rounds / 10;
    let store = open(folder);
    let ownership = store.acquire(1, now()).await.unwrap();
    let mut arrivals = store.arrivals(&ownership).await.unwrap();
    let mut generator = Generator::new();
    let mut log = RawLog::new(&folder.join("raw"), 64 << 20);
    // Both on this thread: what is left of the process's CPU time is the store's, hand-over on this thread included.
    let (mut carried, mut apart, mut spent_raw) = (Carried::default(), Duration::ZERO, Duration::ZERO);
    let mut begun = Duration::ZERO;
    let started = Instant::now();
    let mut raw_took = Duration::ZERO;
    for number in 0..rounds + warm {
        if number == warm {
            begun = cpu(libc::CLOCK_PROCESS_CPUTIME_ID);
            (apart, spent_raw) = (Duration::ZERO, Duration::ZERO);
        }
        let (next, made_up) = round(&store, &mut generator, &ownership, carried).await;
        carried = next;
        while arrivals.try_recv().is_ok() {}
        let building = cpu(libc::CLOCK_THREAD_CPUTIME_ID);

        let events: Vec<NewEvent> = (0..BATCH).map(|_| generator.event(None)).collect();
        let settles: Vec<Settle> = carried
            .accepted
            .iter()
            .map(|(invocation, tenant)| {
                generator.settle(Lease { invocation: *invocation, tenant: *tenant, epoch: 1, token: 1 })
            })
            .collect();
        let (raw_started, cpu_started) = (Instant::now(), cpu(libc::CLOCK_THREAD_CPUTIME_ID));
        let mut bytes = Vec::with_capacity(BATCH * 1024);
        for (event, settle) in events.iter().zip(&settles) {
            generator.log_accept(event, &mut bytes);
            generator.log_rest(settle, &mut bytes);
        }
        log.append(&bytes);
        let ended = cpu(libc::CLOCK_THREAD_CPUTIME_ID);
        spent_raw += ended - cpu_started;
        apart += made_up + (ended - building);
        raw_took += raw_started.elapsed();
    }
    let spent = cpu(libc::CLOCK_PROCESS_CPUTIME_ID) - begun - apart;
    let wall = started.elapsed() - raw_took;
    let cycles = (rounds * BATCH) as f64;
    let (value, yardstick) = (spent.as_secs_f64() * 1e6 / cycles, spent_raw.as_secs_f64() * 1e6 / cycles);
    report(
        "life cycle in the store, batch 256, 100,000 tenants, CPU",
        value,
        "us",
        "raw log of the same bytes",
        yardstick,
        Some(6.0),
    );
    let total = ((rounds + warm) * BATCH) as f64;
    eprintln!("life cycles per second, generator included: {:.0}", total / wall.as_secs_f64());
    store.close().await.unwrap();
}

/// Many clients, each with one event in flight, against a raw log that is used in the same way: its clients hand their
/// bytes to one thread, which writes and syncs whatever has queued up and then answers each of them. Blocks of both take
/// turns, and each is judged beside its neighbour.
async fn clients(folder: &Path) {
    let blocks: usize = std::env::var("BLOCKS").map_or(15, |text| text.parse().unwrap());
    const PER_CLIENT: usize = 40;
    let store = open(folder);
    let log = Arc::new(GroupLog::start(RawLog::new(&folder.join("raw"), 64 << 20)));
    let mint = Arc::new(Mutex::new(IdMint::new(1, 0)));
    let mut generators: Vec<Generator> = (0..BATCH).map(|client| Generator::of_client(client, mint.clone())).collect();
    let (mut ratios, mut through_store, mut through_log) = (Vec::new(), Vec::new(), Vec::new());
    let (mut cpu_store, mut cpu_log) = (Duration::ZERO, Duration::ZERO);
    for block in 0..=blocks {
        let began = (Instant::now(), cpu(libc::CLOCK_PROCESS_CPUTIME_ID));
        generators = each_client(generators, |mut generator| {
            let store = store.clone();
            async move {
                for _ in 0..PER_CLIENT {
                    let event = generator.event(None);
                    assert_eq!(store.publish(vec![event], now()).await.unwrap(), [Published::Accepted]);
                }
                generator
            }
        })
        .await;
        let (took, spent) = (began.0.elapsed(), cpu(libc::CLOCK_PROCESS_CPUTIME_ID) - began.1);
        let began = (Instant::now(), cpu(libc::CLOCK_PROCESS_CPUTIME_ID));
        generators = each_client(generators, |mut generator| {
            let log = log.clone();
            async move {
                for _ in 0..PER_CLIENT {
                    let event = generator.event(None);
                    let mut bytes = Vec::with_capacity(BODY_BYTES * 2);
                    generator.log_accept(&event, &mut bytes);
                    log.append(bytes).await;
                }
                generator
            }
        })
        .await;
        let (log_took, log_spent) = (began.0.elapsed(), cpu(libc::CLOCK_PROCESS_CPUTIME_ID) - began.1);
        // The first of each is for warming up.
        if block > 0 {
            ratios.push(took.as_secs_f64() / log_took.as_secs_f64());
            through_store.push(took);
            through_log.push(log_took);
            cpu_store += spent;
            cpu_log += log_spent;
        }
    }
    store.close().await.unwrap();
    let each = (BATCH * PER_CLIENT) as f64;
    ratios.sort_unstable_by(f64::total_cmp);
    let (value, yardstick) = (median(&mut through_store) / each, median(&mut through_log) / each);
    eprintln!(
        "256 clients: {:.0} accepts/s through the store, {:.0} through the log; ratio of times by block: {:.2} {:.2} {:.2}; \
         CPU {:.2} us against {:.2}",
        1e6 / value,
        1e6 / yardstick,
        ratios[0],
        ratios[ratios.len() / 2],
        ratios[ratios.len() - 1],
        cpu_store.as_secs_f64() * 1e6 / each / blocks as f64,
        cpu_log.as_secs_f64() * 1e6 / each / blocks as f64,
    );
    report(
        "an accept through the store, 256 clients, time per accept",
        value,
        "us",
        "raw log with the same group commit, 256 clients",
        yardstick,
        Some(4.0),
    );
}

async fn each_client<F, R>(generators: Vec<Generator>, client: F) -> Vec<Generator>
where
    F: Fn(Generator) -> R,
    R: Future<Output = Generator> + Send + 'static,
{
    let tasks: Vec<_> = generators.into_iter().map(|generator| tokio::spawn(client(generator))).collect();
    join_all(tasks).await.into_iter().map(|task| task.unwrap()).collect()
}

/// The raw log behind one writer thread.
struct GroupLog {
    records: std::sync::mpsc::Sender<(Vec<u8>, tokio::sync::oneshot::Sender<()>)>,
}

impl GroupLog {
    fn start(mut log: RawLog) -> GroupLog {
        let (records, received) = std::sync::mpsc::channel::<(Vec<u8>, tokio::sync::oneshot::Sender<()>)>();
        std::thread::spawn(move || {
            let (mut bytes, mut waiting) = (Vec::new(), Vec::new());
            while let Ok((record, answer)) = received.recv() {
                bytes.extend_from_slice(&record);
                waiting.push(answer);
                while let Ok((record, answer)) = received.try_recv() {
                    bytes.extend_from_slice(&record);
                    waiting.push(answer);
                }
                log.append(&bytes);
                bytes.clear();
                for answer in waiting.drain(..) {
                    answer.send(()).unwrap();
                }
            }
        });
        GroupLog { records }
    }

    async fn append(&self, record: Vec<u8>) {
        let (answer, written) = tokio::sync::oneshot::channel();
        self.records.send((record, answer)).unwrap();
        written.await.unwrap();
    }
}

/// Events of 200 KiB: what one costs beside a file of the same bytes, and what small ones feel of them.
async fn long(folder: &Path) {
    const ROUNDS: usize = 60;
    const SMALL_PER_ROUND: usize = 20;
    let store = open(folder);
    let body = Bytes::from(vec![b'x'; 200 << 10]);
    let mut generator = Generator::new();
    let (mut accepts, mut files) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let event = NewEvent { body: body.clone(), ..generator.event(None) };
        let started = Instant::now();
        assert_eq!(store.publish(vec![event], now()).await.unwrap(), [Published::Accepted]);
        accepts.push(started.elapsed());
        let started = Instant::now();
        let mut file = File::create_new(folder.join(format!("raw-{round}"))).unwrap();
        file.write_all(&body).unwrap();
        file.sync_data().unwrap();
        files.push(started.elapsed());
    }
    report(
        "an accept of 200 KiB, p50",
        median(&mut accepts),
        "us",
        "the same bytes written to a new file, fdatasync",
        median(&mut files),
        None,
    );

    // Rounds with a long event under way and rounds without take turns.
    let (mut beside, mut alone) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS * 2 {
        let long = (round % 2 == 0).then(|| {
            let (store, event) = (store.clone(), NewEvent { body: body.clone(), ..generator.event(None) });
            tokio::spawn(async move { store.publish(vec![event], now()).await.unwrap() })
        });
        for _ in 0..SMALL_PER_ROUND {
            let event = generator.event(None);
            let started = Instant::now();
            store.publish(vec![event], now()).await.unwrap();
            if long.is_some() { &mut beside } else { &mut alone }.push(started.elapsed());
        }
        if let Some(long) = long {
            long.await.unwrap();
        }
    }
    report(
        "a small accept while one of 200 KiB is under way, p99",
        p99(&mut beside),
        "us",
        "a small accept alone, p99",
        p99(&mut alone),
        None,
    );
    store.close().await.unwrap();
}

fn p99(samples: &mut [Duration]) -> f64 {
    samples.sort_unstable();
    samples[samples.len() * 99 / 100].as_secs_f64() * 1e6
}
