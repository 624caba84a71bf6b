//! Deploy of a small function: from the upload's first byte to the answer that it is live.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;

use super::figure::{Bar, Figure, ms, quantile};
use super::plan::Plan;
use super::subject::Subject;
use super::yardstick;

const BAR_MS: f64 = 25.0;

pub(super) async fn run(plan: &Plan, subject: Subject, program: &Path) -> Result<Vec<Figure>> {
    subject.with(1, async |subject| measure(plan, subject, program).await).await
}

async fn measure(plan: &Plan, subject: &Subject, program: &Path) -> Result<Vec<Figure>> {
    let (mut deploys, mut starts) = (Vec::new(), Vec::new());
    // Never the same text twice, so that nothing is there already.
    let mut number = 1_000_000;
    for round in 1..=plan.rounds {
        eprintln!("deploy: round {round} of {}", plan.rounds);
        let mut spans = Vec::new();
        for _ in 0..plan.deploys {
            number += 1;
            let began = Instant::now();
            subject.deploy(0, number).await?;
            spans.push(began.elapsed());
        }
        deploys.push(ms(quantile(&mut spans, 0.5)));
        starts.push(ms(yardstick::plain_start(program, plan.deploys)?));
    }
    let deploy = Figure::less("deploy of a small function, upload to live, p50", "ms", deploys);
    Ok(vec![deploy.beside("start of `sublet --version`", starts).bar(Bar::Value(BAR_MS))])
}
