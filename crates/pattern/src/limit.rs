//! Every maximum of this crate, with its unit. Beyond one, the answer is an error that names it.

/// Bytes of a pattern's text.
pub const PATTERN_BYTES_MAX: usize = 64 * 1024;
/// Objects inside objects in a pattern.
pub const PATTERN_DEPTH_MAX: usize = 64;
/// Ways to satisfy a pattern that its `$or`s multiply out to; EventBridge's own maximum.
pub const COMBINATIONS_MAX: usize = 1_000;
/// Fields over all those ways together: bounds the memory of one pattern.
pub const COMBINED_FIELDS_MAX: usize = 50_000;
/// How many half-read wildcards one value may be in the middle of (see `wildcard`); EventBridge takes 7 and refuses 11.
pub const WILDCARD_COMPLEXITY_MAX: usize = 10;

/// Bytes of an event's text.
pub const EVENT_BYTES_MAX: usize = 1024 * 1024;
/// Objects and arrays inside each other in an event. The JSON reader's own guard is at 128.
pub const EVENT_DEPTH_MAX: usize = 100;
/// Scalars in an event.
pub const EVENT_SCALARS_MAX: usize = 100_000;

/// Looks at values while one pattern is held against one event, an alternative and 64 bytes of text counting one each;
/// some tenths of a second. Only a `$or` of hundreds of combinations on lists of many thousand elements comes near.
/// Beyond, the event does not match and the explanation says why.
pub const LOOKS_MAX: usize = 20_000_000;

/// Reasons in one explanation.
pub const REASONS_MAX: usize = 16;
/// Bytes of a value or an expectation as shown in a reason; cut with `…` beyond.
pub const SHOWN_BYTES_MAX: usize = 160;

/// Exact values or prefixes of one field under which a pattern is indexed; a field with more is not used as an index key.
pub const INDEX_KEYS_MAX: usize = 256;
/// Bytes of a prefix that the index tells apart.
pub const INDEX_PREFIX_BYTES_MAX: usize = 32;
