//! What is said of one attack, for people and for programs.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use sublet_sandbox::attack::{Attack, Latency, Times, Verdict};

/// One attack with its end.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) group: &'static str,
    pub(crate) name: String,
    pub(crate) promise: String,
    pub(crate) held: bool,
    pub(crate) seen: String,
    pub(crate) took_ms: u64,
    /// How a neighbour in the same worker answered just before and meanwhile; none where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) neighbour: Option<Neighbour>,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Neighbour {
    pub(crate) is_flat: bool,
    pub(crate) before: Span,
    pub(crate) during: Span,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Span {
    calls: usize,
    failed: usize,
    p50_us: u64,
    p99_us: u64,
}

impl Line {
    pub(crate) fn of(attack: &Attack, verdict: &Verdict) -> Line {
        let Latency { before, during } = verdict.latency();
        let neighbour = Neighbour { is_flat: verdict.is_flat(), before: before.into(), during: during.into() };
        let seen = match (verdict.held(), neighbour.is_flat) {
            (true, false) => format!("{}; but a neighbour was slowed down", verdict.seen()),
            _ => verdict.seen(),
        };
        Line {
            group: attack.group.title(),
            name: attack.name.clone(),
            promise: attack.promise.clone(),
            held: verdict.held() && neighbour.is_flat,
            seen,
            took_ms: millis(verdict.took()),
            neighbour: Some(neighbour),
        }
    }
}

impl From<Times> for Span {
    fn from(times: Times) -> Span {
        let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        Span { calls: times.calls, failed: times.failed, p50_us: micros(times.p50), p99_us: micros(times.p99) }
    }
}

pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}: {}", if self.held { "held  " } else { "BROKEN" }, self.name, self.seen)?;
        if let Some(Neighbour { before, during, .. }) = &self.neighbour {
            write!(
                f,
                " (neighbour p50 {} → {}, p99 {} → {} ms",
                ms(before.p50_us),
                ms(during.p50_us),
                ms(before.p99_us),
                ms(during.p99_us)
            )?;
            f.write_str(")")?;
        }
        Ok(())
    }
}

fn ms(micros: u64) -> String {
    format!("{:.1}", micros as f64 / 1e3)
}

/// The neighbour's slowest times of all.
pub(crate) struct Worst {
    p50: (u64, String),
    p99: (u64, String),
}

impl Worst {
    /// None where no neighbour was watched.
    pub(crate) fn of(lines: &[Line]) -> Option<Worst> {
        let slowest = |time: fn(&Span) -> u64| {
            let during = lines.iter().filter_map(|line| Some((time(&line.neighbour?.during), &line.name)));
            during.max().map(|(micros, name)| (micros, name.clone()))
        };
        Some(Worst { p50: slowest(|span| span.p50_us)?, p99: slowest(|span| span.p99_us)? })
    }
}

impl fmt::Display for Worst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((p50, of_p50), (p99, of_p99)) = (&self.p50, &self.p99);
        write!(f, "a neighbour's slowest: p50 {} ms during {of_p50}, p99 {} ms during {of_p99}", ms(*p50), ms(*p99))
    }
}
