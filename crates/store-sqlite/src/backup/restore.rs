//! From a backup to a data folder that a server can start on.

use std::path::Path;

use sublet_model::Error;

use super::Progress;
use super::manifest::{Manifest, Needed, needed, open_database, sync_folder, unusable};
use super::take::{copy_file, make_folder, parent_of, refuse_what_is_not_empty};
use super::verify::{check, verify};
use crate::disk::DATABASE_FILE;
use crate::fail::Fail;

/// Copies the backup in `from` into `data`, which must not be there or be empty; checks both. The backup is not linked
/// to what is made of it and stays as it is.
///
/// Errors: `Invalid` when the backup is damaged, with the file's name, and when `data` holds something.
pub fn restore(from: &Path, data: &Path, tell: &mut dyn FnMut(Progress)) -> Result<Manifest, Error> {
    refuse_what_is_not_empty("data", data)?;
    let manifest = verify(from, tell)?;
    let conn = open_database(from)?;
    let files = needed(&conn).map_err(Fail::into_error)?;
    drop(conn);
    make_folder(data)?;
    copy_all(from, data, &files, tell)?;
    // Last: without it, the next try finds a folder that is not empty and no server starts on half of the files.
    let database = data.join(DATABASE_FILE);
    copy_file(&from.join(DATABASE_FILE), &database).map_err(|error| unusable(&database, error))?;
    sync_folder(data)?;
    tell(Progress::Verifying);
    check(data)?;
    Ok(manifest)
}

fn copy_all(from: &Path, data: &Path, files: &[Needed], tell: &mut dyn FnMut(Progress)) -> Result<(), Error> {
    let mut folders = std::collections::BTreeSet::new();
    for (done, file) in files.iter().enumerate() {
        tell(Progress::Files { done: done as u64, total: files.len() as u64 });
        let copy = data.join(&file.path);
        let folder = parent_of(&copy).to_owned();
        if folders.insert(folder.clone()) {
            make_folder(&folder)?;
        }
        copy_file(&from.join(&file.path), &copy).map_err(|error| unusable(&copy, error))?;
    }
    folders.iter().try_for_each(|folder| sync_folder(folder))
}
