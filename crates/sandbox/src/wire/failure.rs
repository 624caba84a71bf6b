//! A failure as fields. Its texts are the tenant's: cut to what a frame carries before they leave, held to it when they
//! arrive.

use sublet_model::limit;

use super::codec::{Reader, WireError, Writer};
use crate::Failure;

/// How many frames of a stack are kept.
const STACK_FRAMES_MAX: usize = 64;

pub(super) fn write_failure(to: &mut Writer<'_>, failure: &Failure) {
    to.text(&failure.error_type);
    to.text(&failure.error_message);
    to.count(failure.stack_trace.len());
    for line in &failure.stack_trace {
        to.text(line);
    }
}

pub(super) fn read_failure(from: &mut Reader) -> Result<Failure, WireError> {
    let error_type = from.text("error type", limit::ERROR_TYPE_BYTES_MAX)?;
    let error_message = from.text("error message", limit::ERROR_TEXT_BYTES_MAX)?;
    let mut stack_trace = Vec::new();
    for _ in 0..from.count("stack", STACK_FRAMES_MAX)? {
        stack_trace.push(from.text("stack", limit::ERROR_TEXT_BYTES_MAX)?);
    }
    if stack_trace.iter().map(String::len).sum::<usize>() > limit::ERROR_TEXT_BYTES_MAX {
        return Err(WireError::Invalid("stack"));
    }
    Ok(Failure { error_type, error_message, stack_trace })
}

/// Cuts a failure to what a frame carries; the tenant's own text decides how long it is.
pub(crate) fn cut_failure(mut failure: Failure) -> Failure {
    shorten(&mut failure.error_type, limit::ERROR_TYPE_BYTES_MAX);
    shorten(&mut failure.error_message, limit::ERROR_TEXT_BYTES_MAX);
    failure.stack_trace.truncate(STACK_FRAMES_MAX);
    let mut room = limit::ERROR_TEXT_BYTES_MAX;
    for line in &mut failure.stack_trace {
        shorten(line, room);
        room -= line.len();
    }
    failure
}

fn shorten(text: &mut String, most: usize) {
    let length = cut(text, most).len();
    text.truncate(length);
}

/// The longest start of `text` within `most` bytes that ends with a whole character.
pub(super) fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_any_size_fits_its_frame_once_cut() {
        let long = "ä".repeat(limit::ERROR_TEXT_BYTES_MAX);
        let failure = cut_failure(Failure {
            error_type: long.clone(),
            error_message: long.clone(),
            stack_trace: vec![long; 2 * STACK_FRAMES_MAX],
        });
        let mut bytes = Vec::new();
        write_failure(&mut Writer(&mut bytes), &failure);
        assert_eq!(read_failure(&mut Reader(bytes.into())), Ok(failure));
    }
}
