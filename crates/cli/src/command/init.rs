//! `sublet init`: from an empty folder to a function that can be deployed as it is.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use sublet_model::Name;

use crate::client::ClientError;

#[derive(Args)]
pub(crate) struct Options {
    /// The folder, made if it is not there
    #[arg(default_value = ".")]
    path: PathBuf,
    /// TypeScript, with types for the event and the context (the default)
    #[arg(long, conflicts_with = "javascript")]
    typescript: bool,
    /// Plain JavaScript
    #[arg(long)]
    javascript: bool,
    /// The function's name; otherwise the folder's
    #[arg(long, short)]
    function: Option<Name>,
    /// The tenant to deploy for, to be written into sublet.toml
    #[arg(long, short, env = "SUBLET_TENANT")]
    tenant: Option<Name>,
}

/// Path in the folder, and text.
type File = (&'static str, &'static str);

const COMMON: [File; 5] = [
    ("sublet.toml", include_str!("../../templates/common/sublet.toml")),
    (".subletignore", include_str!("../../templates/common/subletignore")),
    (".gitignore", include_str!("../../templates/common/gitignore")),
    ("event.json", include_str!("../../templates/common/event.json")),
    ("README.md", include_str!("../../templates/common/README.md")),
];
const TYPESCRIPT: [File; 4] = [
    ("package.json", include_str!("../../templates/typescript/package.json")),
    ("tsconfig.json", include_str!("../../templates/typescript/tsconfig.json")),
    ("src/index.ts", include_str!("../../templates/typescript/src/index.ts")),
    ("src/sublet.ts", include_str!("../../templates/typescript/src/sublet.ts")),
];
const JAVASCRIPT: [File; 2] = [
    ("package.json", include_str!("../../templates/javascript/package.json")),
    ("src/index.js", include_str!("../../templates/javascript/src/index.js")),
];

/// What a function is called whose folder's name is no name.
const NAME: &str = "my-function";

pub(crate) fn run(options: Options) -> Result<ExitCode> {
    std::fs::create_dir_all(&options.path).with_context(|| format!("cannot make {}", options.path.display()))?;
    let folder = options.path.canonicalize().with_context(|| format!("cannot read {}", options.path.display()))?;
    let name = match options.function {
        Some(name) => name.to_string(),
        None => name_of(&folder),
    };
    let own: &[File] = if options.javascript { &JAVASCRIPT } else { &TYPESCRIPT };
    let files: Vec<&File> = own.iter().chain(&COMMON).collect();
    // Looked at before anything is written: all or nothing.
    let there: Vec<&str> = files.iter().map(|(path, _)| *path).filter(|path| folder.join(path).exists()).collect();
    if !there.is_empty() {
        let why = format!("{} already has {}; nothing was written", options.path.display(), there.join(", "));
        return Err(ClientError::Usage(why).into());
    }
    let tenant = match &options.tenant {
        Some(tenant) => format!("tenant = \"{tenant}\""),
        None => "# tenant = \"acme\"".to_owned(),
    };
    for (path, text) in files {
        write(&folder.join(path), &text.replace("@NAME@", &name).replace("@TENANT@", &tenant))?;
        println!("wrote {}", options.path.join(path).display());
    }
    println!("\nnext:");
    if options.path != Path::new(".") {
        println!("  cd {}", options.path.display());
    }
    let (flag, of) = match &options.tenant {
        Some(tenant) => (String::new(), tenant.to_string()),
        None => (" --tenant TENANT".to_owned(), "TENANT".to_owned()),
    };
    println!("  export SUBLET_KEY=…        # and SUBLET_URL, if the server is not on this machine");
    println!("  sublet deploy{flag}");
    println!("  sublet invoke {name} --tenant {of} --event @event.json");
    Ok(ExitCode::SUCCESS)
}

/// The folder's name with what a name may not have left out.
fn name_of(folder: &Path) -> String {
    let given = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_lowercase();
    let fitting: String =
        given.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' }).collect();
    let fitting = fitting.trim_matches(['-', '.', '_']);
    if fitting.parse::<Name>().is_ok() { fitting.to_owned() } else { NAME.to_owned() }
}

/// Refuses what is there, even if it came meanwhile.
fn write(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().context("a path without a folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut file = std::fs::File::create_new(path).with_context(|| format!("cannot make {}", path.display()))?;
    std::io::Write::write_all(&mut file, text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}
