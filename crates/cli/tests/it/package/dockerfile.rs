//! Makes the image that packaging/Dockerfile describes, without a container engine: an interpreter of the few
//! instructions that it uses. Any other is an error, so that the file cannot grow past what is tested.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::root;
use crate::scene::PROGRAM;

/// Where the `build` stage leaves the program. Its lines are not run: the program under test was built by the same.
const BUILT: &str = "/usr/local/bin/sublet";

/// The final stage.
#[derive(Debug, Default)]
pub(super) struct Image {
    /// Its files.
    pub(super) root: PathBuf,
    pub(super) user: String,
    pub(super) environment: Vec<(String, String)>,
    pub(super) volume: String,
    pub(super) health_check: Vec<String>,
    pub(super) entry_point: Vec<String>,
    pub(super) command: Vec<String>,
}

impl Image {
    /// Made below `folder`.
    pub(super) fn make(folder: &Path) -> Result<Image> {
        let text = std::fs::read_to_string(root().join("packaging/Dockerfile"))?;
        let mut image = Image { root: folder.join("final"), ..Image::default() };
        std::fs::create_dir(&image.root)?;
        let mut stage = String::new();
        // Paths of the stage `root` and where they are here.
        let mut made: HashMap<String, PathBuf> = HashMap::new();
        for line in instructions(&text) {
            let (word, rest) = line.split_once(' ').context("an instruction without an argument")?;
            match (stage.as_str(), word) {
                (_, "FROM") => {
                    stage = rest.split_once(" AS ").map_or(rest, |(_, name)| name).to_owned();
                }
                ("build", "RUN") => ensure!(rest.ends_with(BUILT), "the build does not end in {BUILT}: {rest}"),
                ("build", _) => {}
                ("root", "RUN") => {
                    let words: Vec<&str> = rest.split_whitespace().collect();
                    let [script, BUILT, target] = words[..] else { bail!("not understood: RUN {rest}") };
                    let here = folder.join("root");
                    let status = Command::new(root().join(script)).arg(PROGRAM).arg(&here).status()?;
                    ensure!(status.success(), "{script} ended with {status}");
                    made.insert(target.to_owned(), here);
                }
                ("scratch", "COPY") => copy(rest, &made, &image.root)?,
                ("scratch", "USER") => image.user = rest.to_owned(),
                ("scratch", "ENV") => {
                    let (name, value) = rest.split_once('=').context("ENV without a value")?;
                    image.environment.push((name.to_owned(), value.to_owned()));
                }
                ("scratch", "VOLUME") => image.volume = rest.to_owned(),
                ("scratch", "HEALTHCHECK") => {
                    let (_, command) = rest.split_once("CMD ").context("a health check without a command")?;
                    image.health_check = serde_json::from_str(command)?;
                }
                ("scratch", "ENTRYPOINT") => image.entry_point = serde_json::from_str(rest)?,
                ("scratch", "CMD") => image.command = serde_json::from_str(rest)?,
                ("scratch", "EXPOSE" | "STOPSIGNAL") => {}
                _ => bail!("not understood in the stage {stage}: {line}"),
            }
        }
        Ok(image)
    }
}

/// Lines without comments, joined where one ends in a backslash.
fn instructions(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).collect();
    lines.join("\n").replace("\\\n", " ").lines().map(str::to_owned).collect()
}

/// `--from=root [--chown=…] SOURCE TARGET`. Owners are not set: they are what the container's user is mapped to.
fn copy(rest: &str, made: &HashMap<String, PathBuf>, image: &Path) -> Result<()> {
    let words: Vec<&str> = rest.split_whitespace().filter(|word| !word.starts_with("--chown=")).collect();
    let ["--from=root", source, target] = words[..] else { bail!("not understood: COPY {rest}") };
    let (prefix, here) = made.iter().find(|(prefix, _)| source.starts_with(prefix.as_str())).context("made nowhere")?;
    let from = here.join(source[prefix.len()..].trim_start_matches('/'));
    let to = image.join(target.trim_start_matches('/'));
    let status = Command::new("cp").arg("-a").arg("-T").arg(&from).arg(&to).status()?;
    ensure!(status.success(), "cp {} {}: {status}", from.display(), to.display());
    Ok(())
}
