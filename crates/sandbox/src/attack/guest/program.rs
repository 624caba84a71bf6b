//! A hostile program with the end that it must come to, and how it is run and judged.

use std::time::Duration;

use sublet_model::Outcome;

use crate::attack::range::{Ground, LIMITS, attempt, build_files, file};
use crate::attack::verdict::{Seen, Spends, check_meter, shown, told};
use crate::{Attempt, BuildError, Code, Failure, Limits, Report, Sandbox, SourceFile};

/// A layer of the operator's: its name and its files.
pub(super) type Layer = (&'static str, &'static [(&'static str, &'static str)]);

pub(in crate::attack) struct Program {
    pub(in crate::attack) name: &'static str,
    pub(in crate::attack) promise: &'static str,
    package: Package,
    layers: &'static [Layer],
    end: End,
    spends: Spends,
    cpu: Duration,
    memory_bytes: u64,
    /// How often it is run; every time must end so.
    times: usize,
    /// A second tenant's function, run after each time: its source and the result it must have.
    victim: Option<(&'static str, &'static str)>,
}

enum Package {
    /// The handler's body, with `event` and `context`.
    Body(&'static str),
    /// The whole of `index.mjs`.
    Module(&'static str),
    /// Whatever takes more to write down.
    Made(fn() -> Vec<SourceFile>),
}

/// The end that a promise names.
enum End {
    /// It returns this JSON text.
    Returns(&'static str),
    /// It returns this JSON text, and what is in its log passes.
    Logs(&'static str, fn(&str) -> Result<(), String>),
    /// It ends in one of these outcomes, with one of these errors.
    Ends(&'static [Outcome], &'static [&'static str]),
    /// It fails with this error and this message.
    Says(&'static str, &'static str),
    /// The deploy is refused with one of these errors.
    Refused(&'static [&'static str]),
    /// Refused at the deploy with one of these errors, or deployed and then either returns or fails with one.
    Harmless(&'static [&'static str]),
    /// Refused at the deploy with one of these errors, or deployed and then fails with one: it never returns.
    Stopped(&'static [&'static str]),
}

const fn program(name: &'static str, promise: &'static str, package: Package, end: End) -> Program {
    Program {
        name,
        promise,
        package,
        layers: &[],
        end,
        spends: Spends::Something,
        cpu: LIMITS.cpu,
        memory_bytes: LIMITS.memory_bytes,
        times: 1,
        victim: None,
    }
}

/// The body of a handler that must return this JSON text.
pub(super) const fn returns(
    name: &'static str,
    promise: &'static str,
    body: &'static str,
    result: &'static str,
) -> Program {
    program(name, promise, Package::Body(body), End::Returns(result))
}

/// The body of a handler that lists what it got hold of, and must get hold of nothing.
pub(super) const fn finds_nothing(name: &'static str, promise: &'static str, body: &'static str) -> Program {
    returns(name, promise, body, "[]")
}

/// The body of a handler that must end so.
pub(super) const fn ends(
    name: &'static str,
    promise: &'static str,
    body: &'static str,
    outcomes: &'static [Outcome],
    errors: &'static [&'static str],
) -> Program {
    program(name, promise, Package::Body(body), End::Ends(outcomes, errors))
}

/// The body of a handler that must be ended by its CPU limit.
pub(super) const fn burns(name: &'static str, promise: &'static str, body: &'static str) -> Program {
    ends(name, promise, body, &[Outcome::TimedOut], &["Sandbox.CpuLimit"]).spending(Spends::Cpu)
}

/// CPU time for what has to fill its memory first.
const HOARDING: Duration = Duration::from_secs(3);

/// The body of a handler that must be ended by its memory limit.
pub(super) const fn hoards(name: &'static str, promise: &'static str, body: &'static str) -> Program {
    ends(name, promise, body, &[Outcome::OutOfMemory], &["Runtime.OutOfMemory"])
        .spending(Spends::Memory)
        .within(HOARDING)
}

/// The body of a handler that must be ended by its memory limit, or by its CPU limit if it is slow to get there.
pub(super) const fn hoards_or_burns(name: &'static str, promise: &'static str, body: &'static str) -> Program {
    let (outcomes, errors) = (&[Outcome::OutOfMemory, Outcome::TimedOut], &["Runtime.OutOfMemory", "Sandbox.CpuLimit"]);
    ends(name, promise, body, outcomes, errors)
}

/// The body of a handler that must fail with one of these errors of its own.
pub(super) const fn fails(
    name: &'static str,
    promise: &'static str,
    body: &'static str,
    errors: &'static [&'static str],
) -> Program {
    ends(name, promise, body, &[Outcome::Failed], errors)
}

/// The body of a handler that returns `1`, and whose log must pass.
pub(super) const fn logs(
    name: &'static str,
    promise: &'static str,
    body: &'static str,
    check: fn(&str) -> Result<(), String>,
) -> Program {
    program(name, promise, Package::Body(body), End::Logs("1", check))
}

/// A module that must not be deployable.
pub(super) const fn refused(
    name: &'static str,
    promise: &'static str,
    module: &'static str,
    errors: &'static [&'static str],
) -> Program {
    program(name, promise, Package::Module(module), End::Refused(errors))
}

/// A package that must not be deployable.
pub(super) const fn package_refused(
    name: &'static str,
    promise: &'static str,
    made: fn() -> Vec<SourceFile>,
    errors: &'static [&'static str],
) -> Program {
    program(name, promise, Package::Made(made), End::Refused(errors))
}

/// A package that must be refused with one of these errors or run its course.
pub(super) const fn package_harmless(
    name: &'static str,
    promise: &'static str,
    made: fn() -> Vec<SourceFile>,
    errors: &'static [&'static str],
) -> Program {
    program(name, promise, Package::Made(made), End::Harmless(errors))
}

/// A package whose handler must return this JSON text.
pub(super) const fn package_returns(
    name: &'static str,
    promise: &'static str,
    made: fn() -> Vec<SourceFile>,
    result: &'static str,
) -> Program {
    program(name, promise, Package::Made(made), End::Returns(result))
}

/// A package that must be refused or fail, with one of these errors, whatever its handler would return.
pub(super) const fn package_stopped(
    name: &'static str,
    promise: &'static str,
    made: fn() -> Vec<SourceFile>,
    errors: &'static [&'static str],
) -> Program {
    program(name, promise, Package::Made(made), End::Stopped(errors))
}

/// A module whose handler must fail with this error and this message.
pub(super) const fn says(
    name: &'static str,
    promise: &'static str,
    module: &'static str,
    error: &'static str,
    message: &'static str,
) -> Program {
    program(name, promise, Package::Module(module), End::Says(error, message))
}

impl Program {
    pub(super) const fn spending(self, spends: Spends) -> Program {
        Program { spends, ..self }
    }

    /// With this much CPU time.
    pub(super) const fn within(self, cpu: Duration) -> Program {
        Program { cpu, ..self }
    }

    /// With this much memory.
    pub(super) const fn holding(self, memory_bytes: u64) -> Program {
        Program { memory_bytes, ..self }
    }

    pub(super) const fn times(self, times: usize) -> Program {
        Program { times, ..self }
    }

    /// The whole module in place of the handler's body.
    pub(super) const fn module(self) -> Program {
        match self.package {
            Package::Body(text) => Program { package: Package::Module(text), ..self },
            _ => self,
        }
    }

    /// With layers of the operator's that its author does not name.
    pub(super) const fn wrapped_by(self, layers: &'static [Layer]) -> Program {
        Program { layers, ..self }
    }

    pub(super) const fn before(self, victim: &'static str, result: &'static str) -> Program {
        Program { victim: Some((victim, result)), ..self }
    }

    /// What a tenant uploads.
    fn files(&self) -> Vec<SourceFile> {
        match self.package {
            Package::Body(body) => {
                vec![file("index.mjs", format!("export const handler = async (event, context) => {{\n{body}\n}};\n"))]
            }
            Package::Module(text) => vec![file("index.mjs", text)],
            Package::Made(made) => made(),
        }
    }

    fn layer_files(&self) -> Vec<(String, Vec<SourceFile>)> {
        let layers = self.layers.iter().map(|(name, texts)| {
            let files = texts.iter().map(|(path, text)| file(*path, text.as_bytes().to_vec()));
            ((*name).to_owned(), files.collect::<Vec<SourceFile>>())
        });
        layers.collect()
    }

    pub(in crate::attack) async fn run(&self, ground: &Ground) -> Seen {
        let code = match build_files(&ground.pool, self.files(), self.layer_files(), self.memory_bytes).await {
            Ok(code) => code,
            Err(BuildError::Rejected(failure)) => return self.judge_refusal(&failure),
            Err(BuildError::Unavailable(error)) => return Err(format!("no builder took it: {error}")),
        };
        if let End::Refused(_) = self.end {
            return Err("it was deployed".to_owned());
        }
        let victim = match self.victim {
            None => None,
            Some((source, result)) => {
                let files = vec![file("index.mjs", source)];
                match build_files(&ground.pool, files, Vec::new(), LIMITS.memory_bytes).await {
                    Ok(code) => Some((code, result)),
                    Err(error) => return Err(format!("the victim does not build: {error}")),
                }
            }
        };
        let mut seen = String::new();
        for _ in 0..self.times {
            seen = self.run_once(ground, &code).await?;
            if let Some((code, result)) = &victim {
                look_after(ground, code, result).await?;
            }
        }
        Ok(seen)
    }

    async fn run_once(&self, ground: &Ground, code: &Code) -> Seen {
        let limits = Limits { cpu: self.cpu, memory_bytes: self.memory_bytes, ..LIMITS };
        let attempt = Attempt { limits, ..attempt(code, "{}") };
        let report = ground.pool.run(attempt).await.map_err(|error| format!("it was not run: {error}"))?;
        let told = told(&report);
        self.judge(&report).map_err(|fault| format!("{fault} ({told})"))?;
        check_meter(&report.usage, &limits, self.spends).map_err(|fault| format!("{fault} ({told})"))?;
        Ok(told)
    }

    fn judge(&self, report: &Report) -> Result<(), String> {
        let failed = |outcomes: &[Outcome], errors: &[&str]| {
            let error = report.failure.as_ref().map_or("", |failure| failure.error_type.as_str());
            if outcomes.contains(&report.outcome) && errors.contains(&error) {
                return Ok(());
            }
            Err(format!("it should end as {outcomes:?} by {}", errors.join(" or ")))
        };
        let returned = |expected: &str| {
            if report.result.as_deref() == Some(expected.as_bytes()) {
                return Ok(());
            }
            Err(format!("it should return {expected}"))
        };
        match &self.end {
            End::Returns(expected) => returned(expected),
            End::Logs(expected, check) => {
                returned(expected)?;
                check(&String::from_utf8_lossy(&report.log))
            }
            End::Ends(outcomes, errors) => failed(outcomes, errors),
            End::Says(error, message) => {
                failed(&[Outcome::Failed], &[*error])?;
                match &report.failure {
                    Some(failure) if failure.error_message == *message => Ok(()),
                    _ => Err(format!("it should say {message}")),
                }
            }
            End::Stopped(errors) => failed(&[Outcome::Failed], errors),
            End::Harmless(_) if report.outcome == Outcome::Succeeded => Ok(()),
            End::Harmless(errors) => failed(&[Outcome::Failed, Outcome::TimedOut, Outcome::OutOfMemory], errors),
            End::Refused(_) => Err("it should not be deployable".to_owned()),
        }
    }

    fn judge_refusal(&self, failure: &Failure) -> Seen {
        let told = format!("refused: {}", shown(failure));
        match &self.end {
            End::Refused(errors) | End::Harmless(errors) | End::Stopped(errors) => {
                if errors.contains(&failure.error_type.as_str()) {
                    return Ok(told);
                }
                Err(format!("it should be refused by {} ({told})", errors.join(" or ")))
            }
            _ => Err(format!("it should be deployable ({told})")),
        }
    }
}

async fn look_after(ground: &Ground, code: &Code, result: &str) -> Result<(), String> {
    let report = ground.run(code, "{}").await.map_err(|error| format!("the victim was not run: {error}"))?;
    if report.result.as_deref() == Some(result.as_bytes()) {
        return Ok(());
    }
    Err(format!("the victim should return {result} ({})", told(&report)))
}
