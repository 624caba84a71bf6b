//! Code in processes that it is not for, code that is not as the server made it, and processes of tenants' own that are
//! many or die. All of it is refused or ends where it began, and no process of anybody else's notices.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::json;
use sublet_model::{Outcome, TenantId};

use super::module::{bomb, saying};
use super::range::{Ground, LIMITS, MALLORY, VICTIM, attempt, compile, key_of, within};
use super::verdict::{Seen, Spends, check_meter, plain, told};
use crate::{Attempt, BuildError, Code, Cordon, Crash, Image, ImageKind, Sandbox, Unavailable};

/// What stands before sealed machine code: a mark and the module's hash, and from here on the seal; then the code.
const SEAL_AT: usize = 48;
const CODE_AT: usize = 80;
/// And in a snapshot.
const SNAPSHOT_AT: usize = 48;
/// Why code is not run: it would be among others; its seal is not of this tenant and these bytes; a snapshot has no seal of
/// these bytes.
const SHARED: &str = "must run in its own processes";
const SEAL: &str = "did not seal for this tenant";
const UNSEALED: &str = "an image that this server did not seal";
/// Tenants beyond the number of processes there may be, and the number of the first.
const CROWD_BEYOND: usize = 4;
const CROWD_FIRST: i64 = 1_000;

/// One attack on what keeps tenants' processes and code apart.
pub(super) struct Trespass {
    pub(super) name: &'static str,
    pub(super) promise: &'static str,
    deed: Deed,
}

enum Deed {
    /// Code that must not be run, as it is offered.
    Offers(fn(&Loot) -> Vec<Offer>),
    /// Two modules of one tenant at once, the first of them a bomb, and one of another's.
    Line,
    /// More tenants than there may be processes of tenants' own.
    Crowd,
    /// Ways in which native code ends its process, and how that looks.
    Deaths(&'static [(&'static str, Crash)]),
}

/// What was honestly made: a function's snapshot, two modules of the attacker's, and the first of them for the victim.
struct Loot {
    snapshot: Code,
    own: Code,
    second: Code,
    theirs: Code,
}

struct Offer {
    code: Code,
    cordon: Cordon,
    alone: bool,
    /// Words of the refusal.
    refusal: &'static str,
}

const fn offers(name: &'static str, promise: &'static str, made: fn(&Loot) -> Vec<Offer>) -> Trespass {
    Trespass { name, promise, deed: Deed::Offers(made) }
}

pub(super) const TRESPASSES: &[Trespass] = &[
    offers("machine-code-among-others", "Machine code of a tenant's module runs in no shared process", |loot| {
        wherever(&loot.own, Cordon::Shared, SHARED).into()
    }),
    offers(
        "machine-code-of-another",
        "Machine code runs in no other tenant's processes, and no other's in one's own",
        |loot| {
            let given = wherever(&loot.own, Cordon::Tenant(VICTIM), SEAL);
            given.into_iter().chain(wherever(&loot.theirs, Cordon::Tenant(MALLORY), SEAL)).collect()
        },
    ),
    offers("machine-code-with-a-bit-changed", "Machine code with a bit changed anywhere is not run", |loot| {
        let whole = &loot.own.image.bytes;
        let places = (0..CODE_AT).chain((CODE_AT..whole.len()).step_by(whole.len() / 64 + 1)).chain([whole.len() - 1]);
        let changed = places.map(|place| {
            let mut bytes = whole.to_vec();
            bytes[place] ^= 1;
            sealed(bytes)
        });
        changed.collect()
    }),
    offers("machine-code-cut-off", "Machine code that was cut off, or has something behind it, is not run", |loot| {
        let whole = &loot.own.image.bytes;
        let lengths = [0, 1, 16, SEAL_AT - 1, SEAL_AT, CODE_AT - 1, CODE_AT, whole.len() / 2, whole.len() - 1];
        let cut = lengths.into_iter().map(|length| whole[..length].to_vec());
        let longer = [[&whole[..], b"\0"].concat(), [&whole[..], &whole[..]].concat()];
        cut.chain(longer).map(sealed).collect()
    }),
    offers("machine-code-under-another-seal", "The seal of one module does not open another's code", |loot| {
        let (first, second) = (&loot.own.image.bytes, &loot.second.image.bytes);
        let joined = |hash: &Bytes, seal: &Bytes, code: &Bytes| {
            [&hash[..SEAL_AT], &seal[SEAL_AT..CODE_AT], &code[CODE_AT..]].concat()
        };
        let mixed = [
            joined(first, first, second),
            joined(second, first, first),
            joined(first, second, first),
            joined(first, second, second),
        ];
        mixed.into_iter().map(sealed).collect()
    }),
    offers(
        "machine-code-by-a-known-name",
        "The name of code that is kept opens it for nobody else, and stands for nothing else",
        |loot| {
            let machine = ImageKind::Machine;
            let renamed = |name: &Code, kind: ImageKind, content: &Code| {
                let image = Image { kind, bytes: content.image.bytes.clone() };
                Code { key: name.key.clone(), image }
            };
            let offer =
                |code: Code, cordon: Cordon, refusal: &'static str| Offer { code, cordon, alone: false, refusal };
            vec![
                offer(loot.own.clone(), Cordon::Shared, SHARED),
                offer(loot.own.clone(), Cordon::Tenant(VICTIM), SEAL),
                offer(renamed(&loot.own, machine, &loot.theirs), Cordon::Tenant(VICTIM), SEAL),
                offer(renamed(&loot.own, ImageKind::Snapshot, &loot.snapshot), Cordon::Shared, SEAL),
                offer(renamed(&loot.own, ImageKind::Snapshot, &loot.own), Cordon::Tenant(MALLORY), SEAL),
                offer(renamed(&loot.snapshot, machine, &loot.own), Cordon::Tenant(MALLORY), SEAL),
            ]
        },
    ),
    offers("machine-code-called-a-snapshot", "Sealed machine code that is called a snapshot is none", |loot| {
        let offer = |cordon: Cordon| unsealed(loot.own.image.bytes.to_vec(), cordon);
        vec![offer(Cordon::Shared), offer(Cordon::Tenant(MALLORY))]
    }),
    offers("snapshot-called-machine-code", "A snapshot that is called machine code has no seal", |loot| {
        vec![sealed(loot.snapshot.image.bytes.to_vec())]
    }),
    offers("snapshot-of-noise", "Noise is no snapshot, however it begins", |_| {
        let noise: Vec<u8> = (0..65_536_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let begun = |mark: &[u8]| [mark, &noise[..]].concat();
        let images = [
            Vec::new(),
            vec![0],
            vec![0; 4096],
            noise.clone(),
            begun(b"\x7fELF"),
            begun(b"\0asm\x01\0\0\0"),
            begun(b"sublet:p"),
            begun(b"sublet snapshot1"),
        ];
        images.into_iter().map(|bytes| unsealed(bytes, Cordon::Shared)).collect()
    }),
    offers("snapshot-with-a-bit-changed", "A snapshot with a bit changed anywhere is not run", |loot| {
        let whole = &loot.snapshot.image.bytes;
        let places = (0..SNAPSHOT_AT + 64).chain((SNAPSHOT_AT..whole.len()).step_by(whole.len() / 64 + 1));
        let changed = places.map(|place| {
            let mut bytes = whole.to_vec();
            bytes[place] ^= 1;
            unsealed(bytes, Cordon::Shared)
        });
        changed.collect()
    }),
    offers(
        "snapshot-without-its-seal",
        "A snapshot that was cut off or lengthened, or has no seal of this server's, is not run",
        |loot| {
            let whole = &loot.snapshot.image.bytes;
            let lengths = [0, 15, 16, SNAPSHOT_AT - 1, SNAPSHOT_AT, whole.len() / 2, whole.len() - 1];
            let cut = lengths.into_iter().map(|length| whole[..length].to_vec());
            let (bare, longer) = (whole[SNAPSHOT_AT..].to_vec(), [&whole[..], b"\0"].concat());
            cut.chain([bare, longer]).map(|bytes| unsealed(bytes, Cordon::Shared)).collect()
        },
    ),
    Trespass {
        name: "compiler-twice-at-once",
        promise: "A tenant has one module in the compiler's line, and another's comes next, whatever the first is",
        deed: Deed::Line,
    },
    Trespass {
        name: "cordon-crowd",
        promise: "However many tenants want processes of their own, each gets one, and there are no more than may be",
        deed: Deed::Crowd,
    },
    Trespass {
        name: "cordon-dies",
        promise: "Native code that ends its tenant's process ends nobody else's",
        deed: Deed::Deaths(&[
            ("process-aborts", Crash::Death),
            ("process-hangs-up", Crash::Death),
            ("lie-noise", Crash::Breach),
            ("lie-result-no-json", Crash::Breach),
        ]),
    },
];

/// Together with others, and in a process alone.
fn wherever(code: &Code, cordon: Cordon, refusal: &'static str) -> [Offer; 2] {
    [false, true].map(|alone| Offer { code: code.clone(), cordon, alone, refusal })
}

/// As machine code of the attacker's, in the attacker's own processes.
fn sealed(bytes: Vec<u8>) -> Offer {
    let code = forged(ImageKind::Machine, bytes);
    Offer { code, cordon: Cordon::Tenant(MALLORY), alone: false, refusal: SEAL }
}

/// As a snapshot.
fn unsealed(bytes: Vec<u8>, cordon: Cordon) -> Offer {
    Offer { code: forged(ImageKind::Snapshot, bytes), cordon, alone: false, refusal: UNSEALED }
}

/// Under a name of its own, so that nothing that is kept stands in for it.
fn forged(kind: ImageKind, bytes: Vec<u8>) -> Code {
    let key = format!("forged {kind:?} {}", key_of(&bytes));
    Code { key: key.into(), image: Image { kind, bytes: bytes.into() } }
}

impl Trespass {
    /// Whether it takes workers that play native code.
    pub(super) fn is_native(&self) -> bool {
        matches!(self.deed, Deed::Deaths(_))
    }

    pub(super) async fn run(&self, ground: &Ground) -> Seen {
        match self.deed {
            Deed::Offers(made) => offer_all(ground, made).await,
            Deed::Line => stand_in_line(ground).await,
            Deed::Crowd => crowd(ground).await,
            Deed::Deaths(deaths) => die(ground, deaths).await,
        }
    }
}

/// Processes that attempts run in: the shared ones, the attacker's and the victim's.
fn processes(ground: &Ground) -> [Vec<u32>; 3] {
    [ground.pool.worker_pids(), ground.pool.cordon_pids(MALLORY), ground.pool.cordon_pids(VICTIM)]
}

async fn offer_all(ground: &Ground, made: fn(&Loot) -> Vec<Offer>) -> Seen {
    let failed = |error: BuildError| format!("an honest module was not compiled: {error}");
    let loot = Loot {
        snapshot: ground.idle.clone(),
        own: compile(&ground.pool, MALLORY, saying("1")).await.map_err(failed)?,
        second: compile(&ground.pool, MALLORY, saying("2")).await.map_err(failed)?,
        theirs: compile(&ground.pool, VICTIM, saying("1")).await.map_err(failed)?,
    };
    // From here on both are kept under their names.
    ground.alive(MALLORY).await?;
    run_honestly(ground, &loot.own).await?;
    let before = processes(ground);
    let offers = made(&loot);
    let mut last = String::new();
    for (number, offer) in offers.iter().enumerate() {
        let attempt = Attempt { cordon: offer.cordon, alone: offer.alone, ..attempt(&offer.code, "{}") };
        last = match ground.pool.run(attempt).await {
            Err(Unavailable::Broken(why)) if why.contains(offer.refusal) => why,
            Err(error) => return Err(format!("offer {number} should be refused as `{}` ({error})", offer.refusal)),
            Ok(report) => return Err(format!("offer {number} was run ({})", told(&report))),
        };
    }
    let after = processes(ground);
    if after != before {
        return Err(format!("there were processes {before:?}, and are {after:?}"));
    }
    run_honestly(ground, &loot.own).await?;
    Ok(format!("{} offers refused: {}", offers.len(), plain(&last)))
}

/// What is as it should be runs, and costs what it may.
async fn run_honestly(ground: &Ground, code: &Code) -> Result<(), String> {
    let ran = ground.pool.run(within(MALLORY, code)).await;
    let report = ran.map_err(|error| format!("honest code was not run: {error}"))?;
    match report.result.as_deref() {
        Some(b"1") => check_meter(&report.usage, &LIMITS, Spends::Something),
        _ => Err(format!("honest code should return 1 ({})", told(&report))),
    }
}

async fn stand_in_line(ground: &Ground) -> Seen {
    let pool = &ground.pool;
    let (first, second, other) = futures::future::join3(
        compile(pool, MALLORY, bomb()),
        compile(pool, MALLORY, saying("1")),
        compile(pool, VICTIM, saying("1")),
    )
    .await;
    let end = |compiled: Result<Code, BuildError>| match compiled {
        Ok(_) => "was compiled".to_owned(),
        Err(error) => format!("was not: {error}"),
    };
    match (first, second, other) {
        (Err(BuildError::Rejected(_)), Err(BuildError::Unavailable(Unavailable::Full)), Ok(_)) => {
            Ok("a second module was told to come again, and another tenant's was compiled".to_owned())
        }
        (first, second, other) => {
            Err(format!("the bomb {}; the second {}; the other's {}", end(first), end(second), end(other)))
        }
    }
}

async fn crowd(ground: &Ground) -> Seen {
    let count = ground.dedicated_max + CROWD_BEYOND;
    let tenants: Vec<TenantId> = (CROWD_FIRST..).take(count).map(TenantId::from_raw).collect();
    let mut owners: HashMap<u32, TenantId> = HashMap::new();
    for tenant in &tenants {
        for pid in ground.alive(*tenant).await? {
            if let Some(other) = owners.insert(pid, *tenant) {
                return Err(format!("process {pid} was {other}'s and is {tenant}'s"));
            }
        }
    }
    let living: usize = tenants.iter().map(|tenant| ground.pool.cordon_pids(*tenant).len()).sum();
    if living > ground.dedicated_max {
        return Err(format!("{living} processes, of at most {}", ground.dedicated_max));
    }
    Ok(format!("{count} tenants ran in {} processes, {living} of them at once", owners.len()))
}

async fn die(ground: &Ground, deaths: &[(&str, Crash)]) -> Seen {
    let (victims, shared) = (ground.alive(VICTIM).await?, ground.pool.worker_pids());
    for (play, crash) in deaths {
        let before = ground.alive(MALLORY).await?;
        let event = json!({ "play": play, "server": std::process::id() }).to_string();
        let attempt = Attempt { cordon: Cordon::Tenant(MALLORY), ..attempt(&ground.idle, &event) };
        let report = ground.pool.run(attempt).await.map_err(|error| format!("`{play}` was not run: {error}"))?;
        if (report.outcome, report.crash) != (Outcome::Crashed, Some(*crash)) {
            return Err(format!("`{play}` should end as {crash:?}, not {:?} ({})", report.crash, told(&report)));
        }
        if report.usage.wall_us == 0 || report.usage.memory_peak_bytes > LIMITS.memory_bytes {
            return Err(format!("`{play}` was metered as {:?}", report.usage));
        }
        let after = ground.alive(MALLORY).await?;
        if after.is_empty() || after.iter().any(|pid| before.contains(pid)) {
            return Err(format!("the processes were {before:?} before `{play}` and are {after:?}"));
        }
    }
    if (ground.alive(VICTIM).await?, ground.pool.worker_pids()) != (victims, shared) {
        return Err("a process of somebody else's came or went".to_owned());
    }
    Ok(format!("{} processes of one tenant's ended, and no other", deaths.len()))
}
