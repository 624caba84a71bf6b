//! Whether a backup is what it says it is.

use std::path::Path;

use sublet_model::Error;

use super::Progress;
use super::manifest::{FORMAT, MANIFEST_FILE, Manifest, damaged, needed, open_database, sum_of};
use crate::disk::DATABASE_FILE;
use crate::fail::Fail;
use crate::schema;

/// Reads the whole of the backup in `folder` and compares it with its sums.
///
/// Errors: `Invalid`, with the name of the file that is missing or is not what was written; `Unavailable` for a backup
/// of a newer program.
pub fn verify(folder: &Path, tell: &mut dyn FnMut(Progress)) -> Result<Manifest, Error> {
    tell(Progress::Verifying);
    let path = folder.join(MANIFEST_FILE);
    let text = std::fs::read(&path).map_err(|error| damaged(folder, &path, error))?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| damaged(folder, &path, error))?;
    if manifest.format > FORMAT || manifest.schema > schema::VERSION {
        return Err(Error::unavailable(format!(
            "the backup was taken by sublet {}: restore it with that program, or a newer one",
            manifest.program
        )));
    }
    let database = folder.join(DATABASE_FILE);
    let (bytes, sum) = sum_of(&database).map_err(|error| damaged(folder, &database, error))?;
    if (bytes, sum) != (manifest.database_bytes, manifest.database_sha256) {
        return Err(damaged(folder, &database, "its content is not what was written"));
    }
    check(folder)?;
    Ok(manifest)
}

/// The database is sound, and every file that it refers to is there and right.
pub(super) fn check(folder: &Path) -> Result<(), Error> {
    let database = folder.join(DATABASE_FILE);
    let conn = open_database(folder)?;
    let told: String = conn
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(|error| damaged(folder, &database, error))?;
    if told != "ok" {
        return Err(damaged(folder, &database, told));
    }
    for file in needed(&conn).map_err(Fail::into_error)? {
        let path = folder.join(&file.path);
        let (_, sum) = sum_of(&path).map_err(|error| damaged(folder, &path, error))?;
        if sum != file.sum {
            return Err(damaged(folder, &path, "its content is not what was written"));
        }
    }
    Ok(())
}
