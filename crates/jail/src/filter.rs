//! From a profile (a table of system calls) to the seccomp filters of all threads.
//!
//! Two filters are stacked, and of their answers the kernel takes the harsher one. The first answers some calls with an
//! error number, where a killed process would be the wrong answer to a library that only tries its luck; the
//! second is the allow-list, which lets those through to the first.

use crate::error::Error;
use crate::ledger::{Attempt, Refusal};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    sock_filter,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What may be called, what is answered with an error, and what befalls the rest.
#[derive(Clone, Debug)]
pub struct Profile {
    name: &'static str,
    rows: Vec<Row>,
    answers: Vec<Answer>,
    on_refused: Action,
}

/// One system call that is allowed, with a reason. Several rows may name the same call: any of them allows it.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub syscall: libc::c_long,
    /// All of them must hold; none means whatever the arguments.
    pub when: &'static [Check],
    pub reason: &'static str,
}

/// One system call that is refused with an error number, whatever the profile does to others.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    pub syscall: libc::c_long,
    pub errno: i32,
    pub reason: &'static str,
}

/// A condition on one argument, counted from 0.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    pub argument: u8,
    pub is: Is,
}

/// A filter sees numbers only: what a pointer points to cannot be checked.
#[derive(Clone, Copy, Debug)]
pub enum Is {
    /// The lower 32 bits, for arguments that the kernel takes as `int`.
    Int(u32),
    /// All 64 bits, for pointers and sizes.
    Word(u64),
    /// The lower 32 bits under a mask.
    Masked { mask: u32, value: u32 },
    /// The id of the process that seals itself.
    OwnProcess,
}

/// What befalls a call that the profile does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The process ends at once, by SIGSYS. The only one for production.
    KillProcess,
    /// The call fails with this number, so that a test can try many in one process.
    Errno(i32),
    /// SIGSYS to the thread: with [`install_sigsys_reporter`](crate::install_sigsys_reporter) the call is printed.
    Trap,
    /// The call goes through and the kernel logs it: not confined, for finding what a profile lacks.
    Log,
}

impl Profile {
    pub const fn new(name: &'static str, rows: Vec<Row>, answers: Vec<Answer>, on_refused: Action) -> Profile {
        Profile { name, rows, answers, on_refused }
    }

    /// The same profile with more calls allowed.
    pub fn and(mut self, rows: &[Row]) -> Profile {
        self.rows.extend_from_slice(rows);
        self
    }

    pub fn on_refused(mut self, action: Action) -> Profile {
        self.on_refused = action;
        self
    }

    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub fn answers(&self) -> &[Answer] {
        &self.answers
    }

    pub(crate) fn allows_new_threads(&self) -> bool {
        self.rows.iter().any(|row| row.syscall == libc::SYS_clone || row.syscall == libc::SYS_clone3)
    }

    fn error(&self, reason: impl ToString) -> Error {
        Error::Profile { profile: self.name.to_owned(), reason: reason.to_string() }
    }
}

/// Puts the profile into force in every thread of the process, at once and for good.
pub(crate) fn install(profile: &Profile) -> Result<Attempt, Error> {
    let answers = compile_answers(profile)?;
    let allowed = compile_allowed(profile)?;
    // In this order: the allow-list does not allow to install a filter.
    let installed =
        answers.iter().chain([&allowed]).try_for_each(|program| seccompiler::apply_filter_all_threads(program));
    Ok(match installed {
        Ok(()) => Ok(match profile.on_refused {
            Action::KillProcess => "the profile's calls only, anything else kills",
            Action::Errno(_) => "the profile's calls only, anything else fails",
            Action::Trap => "the profile's calls only, anything else traps",
            Action::Log => "NOT CONFINED: other calls are logged and go through",
        }),
        Err(seccompiler::Error::Prctl(error) | seccompiler::Error::Seccomp(error)) => {
            Err(Refusal { step: "seccomp(SECCOMP_SET_MODE_FILTER)", errno: error.raw_os_error().unwrap_or(0) })
        }
        Err(_) => Err(Refusal { step: "a thread has a filter of its own", errno: 0 }),
    })
}

/// The allow-list. Calls with an answer are let through: the filter below answers them.
fn compile_allowed(profile: &Profile) -> Result<BpfProgram, Error> {
    let mut rules: BTreeMap<libc::c_long, Vec<SeccompRule>> = BTreeMap::new();
    for answer in &profile.answers {
        if profile.rows.iter().any(|row| row.syscall == answer.syscall) {
            return Err(profile.error(format!("system call {} is both allowed and answered", answer.syscall)));
        }
        rules.insert(answer.syscall, Vec::new());
    }
    for row in profile.rows.iter().filter(|row| !row.when.is_empty()) {
        let mut conditions = Vec::with_capacity(row.when.len());
        for check in row.when {
            conditions.push(condition(check).map_err(|error| profile.error(error))?);
        }
        let rule = SeccompRule::new(conditions).map_err(|error| profile.error(error))?;
        rules.entry(row.syscall).or_default().push(rule);
    }
    // A row without conditions outdoes those with: for the compiler, no rule means any arguments.
    for row in profile.rows.iter().filter(|row| row.when.is_empty()) {
        rules.insert(row.syscall, Vec::new());
    }
    let refused = match profile.on_refused {
        Action::KillProcess => SeccompAction::KillProcess,
        Action::Errno(errno) => SeccompAction::Errno(errno.cast_unsigned()),
        Action::Trap => SeccompAction::Trap,
        Action::Log => SeccompAction::Log,
    };
    let arch = std::env::consts::ARCH.try_into().map_err(|error| profile.error(error))?;
    SeccompFilter::new(rules, refused, SeccompAction::Allow, arch)
        .and_then(BpfProgram::try_from)
        .map_err(|error| profile.error(error))
}

fn condition(check: &Check) -> Result<SeccompCondition, seccompiler::BackendError> {
    let (width, operator, value) = match check.is {
        Is::Int(value) => (SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, u64::from(value)),
        Is::Word(value) => (SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, value),
        Is::Masked { mask, value } => {
            (SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(u64::from(mask)), u64::from(value))
        }
        Is::OwnProcess => (SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, u64::from(std::process::id())),
    };
    SeccompCondition::new(check.argument, width, operator, value)
}

/// The filter of answers, written out because the compiler knows one answer per filter: load the number, compare,
/// answer; else let through. It need not look at the architecture, since the allow-list above it does.
fn compile_answers(profile: &Profile) -> Result<Option<BpfProgram>, Error> {
    const LOAD: libc::c_uint = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const JUMP_IF_EQUAL: libc::c_uint = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    const ANSWER: libc::c_uint = libc::BPF_RET | libc::BPF_K;
    if profile.answers.is_empty() {
        return Ok(None);
    }
    // The number is the first field of what the filter is shown.
    let mut program = vec![instruction(LOAD, 0, 0)];
    for answer in &profile.answers {
        let number = u32::try_from(answer.syscall).map_err(|error| profile.error(error))?;
        let errno = u32::try_from(answer.errno).map_err(|error| profile.error(error))?;
        program.push(instruction(JUMP_IF_EQUAL, number, 1));
        program.push(instruction(ANSWER, libc::SECCOMP_RET_ERRNO | (errno & libc::SECCOMP_RET_DATA), 0));
    }
    program.push(instruction(ANSWER, libc::SECCOMP_RET_ALLOW, 0));
    Ok(Some(program))
}

/// `over` instructions are passed over when a comparison fails.
pub(crate) fn instruction(code: libc::c_uint, k: u32, over: u8) -> sock_filter {
    // Every code fits: classic BPF has 16 bits for it.
    sock_filter { code: code as u16, jt: 0, jf: over, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Row = Row { syscall: libc::SYS_read, when: &[], reason: "test" };
    const NO_READ: Answer = Answer { syscall: libc::SYS_read, errno: libc::ENOSYS, reason: "test" };

    #[test]
    fn call_both_allowed_and_answered_is_refused_as_a_profile() {
        let profile = Profile::new("test", vec![READ], vec![NO_READ], Action::KillProcess);
        let error = compile_allowed(&profile).unwrap_err();
        assert!(matches!(error, Error::Profile { .. }), "{error}");
    }

    #[test]
    fn row_without_conditions_outdoes_rows_with() {
        let checked = Row { when: &[Check { argument: 0, is: Is::Int(3) }], ..READ };
        let free = compile_allowed(&Profile::new("test", vec![READ], vec![], Action::KillProcess)).unwrap();
        let both = compile_allowed(&Profile::new("test", vec![READ, checked], vec![], Action::KillProcess)).unwrap();
        let only = compile_allowed(&Profile::new("test", vec![checked], vec![], Action::KillProcess)).unwrap();
        assert_eq!(free, both);
        assert_ne!(free, only);
    }
}
