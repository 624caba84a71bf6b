//! A hostile module with the end that it must come to, and how it is compiled, run and judged.
//!
//! It runs in processes of its tenant's own. Whatever it does, they must be the same ones afterwards, and answer: a
//! module that ends its process would take along what else its tenant runs there.

use std::time::{Duration, Instant};

use sublet_model::{Outcome, limit};

use super::call::{Call, calling};
use crate::attack::range::{BUILD_TIMEOUT, Ground, LIMITS, MALLORY, compile, within};
use crate::attack::verdict::{Seen, Spends, check_meter, shown, told};
use crate::{Attempt, BuildError, Code, Failure, Limits, Report, Sandbox};

/// Beyond the compiler's deadline: its process may have to be started, on a machine that has other work too.
const COMPILE_SLACK: Duration = Duration::from_secs(5);
const REFUSED: &[&str] = &["Wasm.Refused"];

pub(in crate::attack) struct ModuleProgram {
    pub(in crate::attack) name: &'static str,
    pub(in crate::attack) promise: &'static str,
    made: Made,
    end: End,
    spends: Spends,
    wall: Duration,
    /// How often each of its modules is run; every time must end so.
    times: usize,
}

/// What is uploaded.
pub(super) enum Made {
    One(fn() -> Vec<u8>),
    /// One after the other; each must come to the same end.
    Many(fn() -> Vec<Vec<u8>>),
    /// A command that makes these calls.
    Calls(&'static [Call]),
}

/// The end that a promise names.
enum End {
    /// The deploy is refused with one of these errors, in words that hold these.
    Refused(&'static [&'static str], &'static str),
    /// It returns this JSON text.
    Returns(&'static str),
    /// It returns nothing, and what is in its log passes.
    Logs(fn(&str) -> Result<(), String>),
    /// It ends in this outcome with this error, in words that hold these.
    Ends(Outcome, &'static str, &'static str),
    /// Refused at the deploy with one of these errors, or deployed and then either returns or fails with one.
    Harmless(&'static [&'static str]),
}

const fn program(name: &'static str, promise: &'static str, made: Made, end: End) -> ModuleProgram {
    ModuleProgram { name, promise, made, end, spends: Spends::Something, wall: LIMITS.wall, times: 1 }
}

/// A module that must not be deployable; the refusal says these words.
pub(super) const fn refused(
    name: &'static str,
    promise: &'static str,
    words: &'static str,
    made: Made,
) -> ModuleProgram {
    program(name, promise, made, End::Refused(REFUSED, words))
}

/// A module whose compilation must end by one of these errors.
pub(super) const fn ended_at_deploy(
    name: &'static str,
    promise: &'static str,
    errors: &'static [&'static str],
    made: Made,
) -> ModuleProgram {
    program(name, promise, made, End::Refused(errors, ""))
}

/// A module that must be refused with one of these errors or run its course.
pub(super) const fn harmless(
    name: &'static str,
    promise: &'static str,
    errors: &'static [&'static str],
    made: Made,
) -> ModuleProgram {
    program(name, promise, made, End::Harmless(errors))
}

/// A module that must return this JSON text.
pub(super) const fn returns(
    name: &'static str,
    promise: &'static str,
    result: &'static str,
    made: Made,
) -> ModuleProgram {
    program(name, promise, made, End::Returns(result))
}

/// Calls that must answer as it is written beside them.
pub(super) const fn answers(name: &'static str, promise: &'static str, calls: &'static [Call]) -> ModuleProgram {
    returns(name, promise, "null", Made::Calls(calls))
}

/// A module that returns nothing, and whose log must pass.
pub(super) const fn logs(
    name: &'static str,
    promise: &'static str,
    check: fn(&str) -> Result<(), String>,
    made: Made,
) -> ModuleProgram {
    program(name, promise, made, End::Logs(check))
}

/// A module that must end in this outcome, by this error, in words that hold these.
pub(super) const fn ends(
    name: &'static str,
    promise: &'static str,
    (outcome, error, words): (Outcome, &'static str, &'static str),
    made: Made,
) -> ModuleProgram {
    program(name, promise, made, End::Ends(outcome, error, words))
}

/// A module that must fail by a trap, in words that hold these.
pub(super) const fn traps(name: &'static str, promise: &'static str, words: &'static str, made: Made) -> ModuleProgram {
    ends(name, promise, (Outcome::Failed, "Wasm.Trap", words), made)
}

/// A module that must be ended by its CPU limit.
pub(super) const fn burns(name: &'static str, promise: &'static str, made: Made) -> ModuleProgram {
    ends(name, promise, (Outcome::TimedOut, "Sandbox.CpuLimit", ""), made).spending(Spends::Cpu)
}

impl ModuleProgram {
    pub(super) const fn spending(self, spends: Spends) -> ModuleProgram {
        ModuleProgram { spends, ..self }
    }

    /// With so much time.
    pub(super) const fn within(self, wall: Duration) -> ModuleProgram {
        ModuleProgram { wall, ..self }
    }

    pub(super) const fn times(self, times: usize) -> ModuleProgram {
        ModuleProgram { times, ..self }
    }

    pub(super) fn modules(&self) -> Vec<Vec<u8>> {
        match self.made {
            Made::One(made) => vec![made()],
            Made::Many(made) => made(),
            Made::Calls(calls) => vec![calling(calls)],
        }
    }

    /// Whether its promise is about what runs, so that all of it must be deployable.
    #[cfg(test)]
    pub(super) fn must_run(&self) -> bool {
        !matches!(self.end, End::Refused(..) | End::Harmless(_))
    }

    pub(in crate::attack) async fn run(&self, ground: &Ground) -> Seen {
        let before = ground.alive(MALLORY).await?;
        let mut seen = "there is no module".to_owned();
        for module in self.modules() {
            seen = self.upload(ground, module).await?;
        }
        let after = ground.alive(MALLORY).await?;
        if after != before {
            return Err(format!("{seen}, but the tenant's processes were {before:?} and are {after:?}"));
        }
        Ok(seen)
    }

    async fn upload(&self, ground: &Ground, module: Vec<u8>) -> Seen {
        let started = Instant::now();
        let compiled = compile(&ground.pool, MALLORY, module).await;
        let took = started.elapsed();
        if took > BUILD_TIMEOUT + COMPILE_SLACK {
            return Err(format!("the compiler was at it for {} ms", took.as_millis()));
        }
        let code = match compiled {
            Ok(code) => code,
            Err(BuildError::Rejected(failure)) => return self.judge_refusal(&failure),
            Err(BuildError::Unavailable(error)) => return Err(format!("no builder took it: {error}")),
        };
        if let End::Refused(..) = self.end {
            return Err("it was deployed".to_owned());
        }
        let mut seen = String::new();
        for _ in 0..self.times {
            seen = self.run_once(ground, &code).await?;
        }
        Ok(seen)
    }

    async fn run_once(&self, ground: &Ground, code: &Code) -> Seen {
        let limits = Limits { wall: self.wall, ..LIMITS };
        let attempt = Attempt { limits, ..within(MALLORY, code) };
        let report = ground.pool.run(attempt).await.map_err(|error| format!("it was not run: {error}"))?;
        let end = told(&report);
        self.judge(&report).map_err(|fault| format!("{fault} ({end})"))?;
        check_meter(&report.usage, &limits, self.spends).map_err(|fault| format!("{fault} ({end})"))?;
        Ok(end)
    }

    fn judge(&self, report: &Report) -> Result<(), String> {
        let (error, message) = match &report.failure {
            Some(failure) => (failure.error_type.as_str(), failure.error_message.as_str()),
            None => ("", ""),
        };
        if message.len() > limit::ERROR_TEXT_BYTES_MAX {
            return Err(format!("its error has {} bytes", message.len()));
        }
        let log = std::str::from_utf8(&report.log).map_err(|_| "its log is no text".to_owned())?;
        let returned = |expected: &str| {
            if report.result.as_deref() == Some(expected.as_bytes()) {
                return Ok(());
            }
            Err(format!("it should return {expected}"))
        };
        match &self.end {
            End::Returns(expected) => returned(expected),
            End::Logs(check) => {
                returned("null")?;
                check(log)
            }
            End::Ends(outcome, kind, words) => {
                if report.outcome == *outcome && error == *kind && message.contains(*words) {
                    return Ok(());
                }
                Err(format!("it should end as {outcome} by {kind} {words}"))
            }
            End::Harmless(errors) => match report.outcome {
                Outcome::Succeeded => Ok(()),
                Outcome::Failed | Outcome::TimedOut | Outcome::OutOfMemory if errors.contains(&error) => Ok(()),
                _ => Err(format!("it should return or end by {}", errors.join(" or "))),
            },
            End::Refused(..) => Err("it should not be deployable".to_owned()),
        }
    }

    fn judge_refusal(&self, failure: &Failure) -> Seen {
        let refusal = format!("refused: {}", shown(failure));
        let (errors, words) = match &self.end {
            End::Refused(errors, words) => (errors, *words),
            End::Harmless(errors) => (errors, ""),
            _ => return Err(format!("it should be deployable ({refusal})")),
        };
        if errors.contains(&failure.error_type.as_str()) && failure.error_message.contains(words) {
            return Ok(refusal);
        }
        Err(format!("it should be refused by {} {words} ({refusal})", errors.join(" or ")))
    }
}
