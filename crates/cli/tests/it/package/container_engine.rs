//! Starts an image as a container engine would: mount, process, IPC and host name namespaces, the image as a read-only
//! root, an ordinary user without capabilities, a tmpfs for the data. bubblewrap does the work.
//!
//! Not as in an engine: the network is the machine's own, so that a client reaches the server; the user is in a
//! user namespace, so that the test needs no root.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use tokio::process::Command;

use super::dockerfile::Image;

pub(super) const ENGINE: &str = "bwrap";

/// What the engine's own system call filter takes from the container.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Confinement {
    /// What Docker's default profile refuses to a container without capabilities, as far as a jail could want it.
    Default,
    /// `--security-opt seccomp=unconfined`.
    Unconfined,
}

/// The container's command line, ready to be started. `arguments` stand in for the image's `CMD`.
pub(super) fn run(
    image: &Image,
    confinement: Confinement,
    scratch: &Path,
    command: &[String],
    arguments: &[&str],
) -> Result<Command> {
    let (user, group) = image.user.split_once(':').context("USER is not user:group")?;
    let mut container = match confinement {
        Confinement::Unconfined => Command::new(ENGINE),
        Confinement::Default => {
            let filters = [write(scratch, "refused", &refused()?)?, write(scratch, "unknown", &unknown()?)?];
            let mut shell = Command::new("sh");
            shell.args(["-c", "exec 8<\"$1\" 9<\"$2\"; shift 2; exec \"$@\"", "sh"]).args(filters).arg(ENGINE);
            shell.args(["--add-seccomp-fd", "8", "--add-seccomp-fd", "9"]);
            shell
        }
    };
    container.args(["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent"]);
    container.args(["--as-pid-1", "--cap-drop", "ALL", "--uid", user, "--gid", group]);
    container.arg("--ro-bind").arg(&image.root).arg("/").args(["--dev", "/dev", "--proc", "/proc"]);
    container.args(["--perms", "0700", "--tmpfs", &image.volume, "--remount-ro", "/"]);
    for (name, value) in &image.environment {
        container.args(["--setenv", name, value]);
    }
    container.arg("--").args(command).args(arguments);
    Ok(container)
}

fn write(scratch: &Path, name: &str, program: &BpfProgram) -> Result<PathBuf> {
    let path = scratch.join(name);
    let mut file = std::fs::File::create(&path)?;
    for step in program {
        file.write_all(&step.code.to_ne_bytes())?;
        file.write_all(&[step.jt, step.jf])?;
        file.write_all(&step.k.to_ne_bytes())?;
    }
    Ok(path)
}

/// Refused with EPERM.
fn refused() -> Result<BpfProgram> {
    let always = [
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_fsopen,
        libc::SYS_fsconfig,
        libc::SYS_fsmount,
        libc::SYS_fspick,
        libc::SYS_open_tree,
        libc::SYS_move_mount,
        libc::SYS_mount_setattr,
        libc::SYS_sethostname,
        libc::SYS_setdomainname,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_open_by_handle_at,
        libc::SYS_fanotify_init,
        libc::SYS_io_uring_setup,
        libc::SYS_add_key,
        libc::SYS_keyctl,
        libc::SYS_request_key,
    ];
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = always.into_iter().map(|call| (call, Vec::new())).collect();
    let mut clones = Vec::new();
    for flag in [
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWNS,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWCGROUP,
    ] {
        let bit = u64::from(flag.cast_unsigned());
        let is_set = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(bit), bit)?;
        clones.push(SeccompRule::new(vec![is_set])?);
    }
    rules.insert(libc::SYS_clone, clones);
    compile(rules, libc::EPERM)
}

/// Answered with ENOSYS, which C libraries take as a reason to use `clone`.
fn unknown() -> Result<BpfProgram> {
    compile(BTreeMap::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS)
}

fn compile(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> Result<BpfProgram> {
    let answer = SeccompAction::Errno(errno.cast_unsigned());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, answer, std::env::consts::ARCH.try_into()?)?;
    Ok(filter.try_into()?)
}
