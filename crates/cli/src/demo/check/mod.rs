//! `sublet demo --check`: the whole path without a browser, one line a step, and the exit code says whether all held.

mod command;
mod left_over;
mod product;
mod steps;
mod walk;

use std::process::ExitCode;

use anyhow::Result;
use steps::Steps;

use super::Options;

pub(super) async fn run(options: &Options) -> Result<ExitCode> {
    let temporary = match &options.data {
        Some(_) => None,
        None => Some(tempfile::Builder::new().prefix("sublet-demo-").tempdir()?),
    };
    let data = match (&options.data, &temporary) {
        (Some(data), _) => data.clone(),
        (None, Some(folder)) => folder.path().to_owned(),
        (None, None) => unreachable!("one of the two is there"),
    };
    let mut steps = Steps::default();
    walk::whole_path(&mut steps, &options.places(data)?).await;
    if steps.all_held() {
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(folder) = temporary {
        println!("data and logs are kept in {}", folder.keep().display());
    }
    Ok(ExitCode::FAILURE)
}
