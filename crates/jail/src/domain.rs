//! Landlock: a domain that may touch no file, no TCP port, and no process or abstract socket outside it. It asks for no
//! privilege, so it holds in containers where namespaces are forbidden.

use crate::layer::Layer;
use crate::ledger::{Attempt, Refusal};
use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetError, RulesetStatus, Scope};

/// The layer, the first ABI of the kernel that has it, how it is done, and what to say below that ABI.
pub(crate) const PARTS: [(Layer, i32, &str, &str); 3] = [
    (Layer::LandlockFiles, 1, "no access to any path", "this kernel has no Landlock"),
    (Layer::LandlockTcp, 4, "no TCP bind or connect", "Landlock knows TCP from ABI 4 (Linux 6.7) on"),
    (Layer::LandlockScope, 6, "no signal or abstract socket outwards", "Landlock scopes come with ABI 6 (Linux 6.12)"),
];

/// Rights up to here are denied, as far as the kernel knows them. Landlock denies only what a ruleset names: when a later
/// ABI adds rights, raise this.
const NEWEST_DENIED: ABI = ABI::V10;

/// The kernel's Landlock ABI; asking changes nothing.
pub(crate) fn kernel_abi() -> Result<i32, Refusal> {
    const VERSION: libc::c_uint = 1;
    // SAFETY: with this flag the kernel wants a null pointer of size 0 and only answers a number.
    let abi =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<libc::c_void>(), 0_usize, VERSION) };
    i32::try_from(abi)
        .ok()
        .filter(|&abi| abi > 0)
        .ok_or_else(|| Refusal::last("landlock_create_ruleset(LANDLOCK_CREATE_RULESET_VERSION)"))
}

/// What the kernel's ABI gives of one part.
pub(crate) fn part(abi: Result<i32, Refusal>, from: i32, how: &'static str, below: &'static str) -> Attempt {
    if abi? >= from { Ok(how) } else { Err(Refusal { step: below, errno: 0 }) }
}

/// Puts the calling thread, and all that it starts, into a domain made of the parts that are wanted.
pub(crate) fn enter(wanted: impl Fn(Layer) -> bool) -> Result<(), Refusal> {
    let status =
        restrict(wanted).map_err(|error| Refusal { step: "landlock_restrict_self", errno: errno_within(&error) })?;
    match status {
        RulesetStatus::NotEnforced => Err(Refusal { step: "the kernel did not enforce the Landlock domain", errno: 0 }),
        RulesetStatus::PartiallyEnforced | RulesetStatus::FullyEnforced => Ok(()),
    }
}

/// Best effort is the library's default: what this kernel does not know is passed over, and [`part`] reports it.
fn restrict(wanted: impl Fn(Layer) -> bool) -> Result<RulesetStatus, RulesetError> {
    let mut ruleset = Ruleset::default();
    if wanted(Layer::LandlockFiles) {
        ruleset = ruleset.handle_access(AccessFs::from_all(NEWEST_DENIED))?;
    }
    if wanted(Layer::LandlockTcp) {
        ruleset = ruleset.handle_access(AccessNet::from_all(NEWEST_DENIED))?;
    }
    if wanted(Layer::LandlockScope) {
        ruleset = ruleset.scope(Scope::from_all(NEWEST_DENIED))?;
    }
    Ok(ruleset.create()?.restrict_self()?.ruleset)
}

fn errno_within(error: &(dyn std::error::Error + 'static)) -> i32 {
    let mut cause = Some(error);
    while let Some(inner) = cause {
        if let Some(errno) = inner.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error) {
            return errno;
        }
        cause = inner.source();
    }
    0
}
