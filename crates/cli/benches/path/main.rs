//! The whole path as its users pay for it: real server, real workers, HTTP in and the live stream out. Prints one JSON
//! line per figure for `cargo xtask bench`; what is said on the side goes to standard error.

mod deploy;
mod figure;
mod idle_tenants;
mod process;
mod whole_path;
mod yardstick;

use anyhow::Result;

const PROGRAM: &str = env!("CARGO_BIN_EXE_sublet");
/// The to-do handler of the demo, in one file.
const HANDLER: &str = r"
const DAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];
export const handler = async (event) => {
  const { title, created } = event.detail;
  const tags = [...title.matchAll(/#(\w+)/g)].map((match) => match[1].toLowerCase());
  const named = DAYS.findIndex((day) => title.toLowerCase().includes(day));
  const from = new Date(created);
  const ahead = named < 0 ? null : (named - from.getUTCDay() + 7) % 7 || 7;
  const due = ahead === null ? null : new Date(from.getTime() + ahead * 86_400_000).toISOString().slice(0, 10);
  return { due, tags };
};
";

#[tokio::main]
async fn main() -> Result<()> {
    // `cargo bench` hands over `--bench` and a filter.
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let wants = |name: &str| name.contains(&filter);
    let fdatasync = yardstick::fdatasync_p50()?;
    if wants("deploy") {
        deploy::run().await?;
    }
    if wants("whole path") {
        whole_path::run(fdatasync).await?;
    }
    if wants("idle tenants") {
        idle_tenants::run().await?;
    }
    Ok(())
}
