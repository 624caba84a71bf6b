//! Who a worker is when it starts: what an operator's machine or container makes of it before the jail does anything.

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, SeccompRule};

/// An ordinary user's id, not the jail's own.
const SOMEBODY: u32 = 4_242;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// As the tests were started.
    AsStarted,
    /// Without privilege, on a host that allows user namespaces or not, as it is.
    User,
    /// Without privilege, behind a filter that refuses namespaces and mounts, as container runtimes do by default.
    UserInContainer,
    /// User 0 with the few capabilities of a container, behind the same filter.
    RootInContainer,
}

/// All that this user can take up: changing to another one is for root.
pub(crate) fn all() -> Vec<Standing> {
    let mut all = vec![Standing::AsStarted, Standing::User, Standing::UserInContainer];
    if rustix::process::getuid().is_root() {
        all.push(Standing::RootInContainer);
    }
    all
}

impl Standing {
    pub(crate) fn parse(name: &str) -> Standing {
        match name {
            "AsStarted" => Standing::AsStarted,
            "User" => Standing::User,
            "UserInContainer" => Standing::UserInContainer,
            "RootInContainer" => Standing::RootInContainer,
            other => panic!("no standing {other}"),
        }
    }

    /// In the child, before the jail.
    pub(crate) fn take(self) {
        match self {
            Standing::AsStarted => {}
            Standing::User => become_somebody(),
            Standing::UserInContainer => {
                become_somebody();
                refuse(CONTAINER_REFUSES);
            }
            Standing::RootInContainer => {
                keep_capabilities_of_a_container();
                refuse(CONTAINER_REFUSES);
            }
        }
    }
}

const CONTAINER_REFUSES: &[libc::c_long] = &[
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_fsopen,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
];

/// Makes these calls fail with EPERM from here on.
pub(crate) fn refuse(calls: &[libc::c_long]) {
    let rules = calls.iter().map(|&call| (call, Vec::<SeccompRule>::new())).collect();
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let refuse = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch).unwrap();
    seccompiler::apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
}

fn become_somebody() {
    if !rustix::process::getuid().is_root() {
        return;
    }
    let (user, group) = (rustix::process::Uid::from_raw(SOMEBODY), rustix::process::Gid::from_raw(SOMEBODY));
    rustix::thread::set_thread_groups(&[]).unwrap();
    rustix::thread::set_thread_res_gid(group, group, group).unwrap();
    rustix::thread::set_thread_res_uid(user, user, user).unwrap();
    // As in a program that this user started; the change took it away.
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable).unwrap();
}

fn keep_capabilities_of_a_container() {
    use rustix::thread::{CapabilitySet as Has, CapabilitySets};
    let kept = Has::CHOWN
        | Has::DAC_OVERRIDE
        | Has::FOWNER
        | Has::FSETID
        | Has::KILL
        | Has::SETGID
        | Has::SETUID
        | Has::SETPCAP
        | Has::NET_BIND_SERVICE
        | Has::NET_RAW
        | Has::SYS_CHROOT
        | Has::MKNOD
        | Has::AUDIT_WRITE
        | Has::SETFCAP;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: Has::empty() };
    rustix::thread::set_capabilities(None, sets).unwrap();
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable).unwrap();
}
