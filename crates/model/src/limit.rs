//! Every maximum of the system that callers can meet, in one place, with its unit. Limits that only one module knows
//! (a channel's length, a cache's size) stand at the head of that module.

use std::time::Duration;

/// Bytes of one event as accepted, envelope included.
pub const EVENT_BYTES_MAX: usize = 256 * 1024;
/// Events in one array.
pub const EVENTS_PER_BATCH_MAX: usize = 1_000;
/// Bytes of one request body that carries events.
pub const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How deep a JSON value from outside may nest, and one that a function returns.
pub const JSON_DEPTH_MAX: usize = 64;
/// Characters of `source` and `detail-type`.
pub const SOURCE_CHARS_MAX: usize = 256;
/// Characters of an event's own id.
pub const EVENT_ID_CHARS_MAX: usize = 128;
/// How often an event may have begotten another before it ends as `loop`.
pub const EVENT_DEPTH_MAX: u8 = 16;
/// How long a repeated (tenant, source, id) is answered with the first answer.
pub const IDENTITY_WINDOW: Duration = Duration::from_secs(600);
/// Identities remembered at once; the oldest leave first, so beyond this rate the window is shorter.
pub const IDENTITIES_MAX: usize = 2_000_000;

/// Bytes of a function's result.
pub const RESULT_BYTES_MAX: usize = 256 * 1024;
/// Bytes of an attempt's log, before the mark of the cut.
pub const LOG_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a line that a module writes to its log; one that was cut ends with the mark.
pub const LOG_LINE_BYTES_MAX: usize = 16 * 1024;
pub const LOG_LINE_CUT: &str = " [line cut here]";
/// Lines of an attempt's log: each costs whoever reads it more than its bytes say.
pub const LOG_LINES_MAX: usize = 10_000;
/// Bytes of an error's message and of its stack, each, and of its type.
pub const ERROR_TEXT_BYTES_MAX: usize = 8 * 1024;
pub const ERROR_TYPE_BYTES_MAX: usize = 256;

/// Bytes of an uploaded package.
pub const PACKAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of a package unpacked.
pub const PACKAGE_UNPACKED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Files in a package.
pub const PACKAGE_FILES_MAX: usize = 4_096;
/// Bytes of all environment variables of a function, names and values.
pub const ENVIRONMENT_BYTES_MAX: usize = 4 * 1024;
/// Characters of an environment variable's name.
pub const VARIABLE_NAME_CHARS_MAX: usize = 128;
/// Secrets of one tenant, those of its functions among them.
pub const SECRETS_PER_TENANT_MAX: usize = 100;
/// Variables of one function that hold secrets.
pub const SECRETS_PER_FUNCTION_MAX: usize = 20;
/// Bytes of a secret's value, and the fewest characters: shorter ones could not be redacted without harm.
pub const SECRET_BYTES_MAX: usize = 4 * 1024;
pub const SECRET_CHARS_MIN: usize = 6;
/// Hosts that one secret is bound to, or that one variable's placeholder is for.
pub const SECRET_HOSTS_MAX: usize = 20;
/// Layers of one function.
pub const LAYERS_MAX: usize = 5;

/// Rules in a function's egress list, and in a tenant's ceiling.
pub const EGRESS_RULES_MAX: usize = 64;
/// Requests of one attempt: in all, and at once; further ones of the latter wait.
pub const FETCHES_PER_ATTEMPT_MAX: u32 = 50;
pub const FETCHES_AT_ONCE_MAX: usize = 8;
/// Bytes of one attempt's requests and of the answers to them, in all, heads included.
pub const FETCH_REQUEST_BYTES_MAX: u64 = 1024 * 1024;
pub const FETCH_RESPONSE_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Requests of one attempt that its record tells of.
pub const FETCH_RECORDS_MAX: usize = 64;

/// A function's wall deadline: least, usual, most.
pub const TIMEOUT_MIN: Duration = Duration::from_millis(10);
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(3);
pub const TIMEOUT_MAX: Duration = Duration::from_secs(900);
/// A function's memory: least, usual, most.
pub const MEMORY_MIN: u64 = 16 << 20;
pub const MEMORY_DEFAULT: u64 = 128 << 20;
pub const MEMORY_MAX: u64 = 512 << 20;
/// CPU time of an attempt when the function says nothing.
pub const CPU_DEFAULT: Duration = Duration::from_secs(1);
/// Top-level evaluation at deploy time.
pub const BUILD_TIMEOUT: Duration = Duration::from_secs(10);
/// Wall deadline of compiling a tenant's own module: a minute of a core is enough for some 10 MiB.
pub const COMPILE_TIMEOUT: Duration = Duration::from_secs(60);

/// Targets of one rule.
pub const TARGETS_MAX: usize = 5;
/// Rules of one tenant, and of the operator.
pub const RULES_PER_TENANT_MAX: usize = 300;
pub const RULES_OPERATOR_MAX: usize = 2_000;
/// Characters of an input transformer's template, of a variable's name and of a variable's path.
pub const TEMPLATE_CHARS_MAX: usize = 8_192;
pub const VARIABLE_CHARS_MAX: usize = 256;
pub const JSON_PATH_CHARS_MAX: usize = 256;
/// Variables of one input transformer.
pub const VARIABLES_MAX: usize = 100;
/// Bytes of what an input transformer makes of an event.
pub const INPUT_BYTES_MAX: usize = EVENT_BYTES_MAX;
/// Functions of one tenant.
pub const FUNCTIONS_PER_TENANT_MAX: usize = 200;
/// Keys of one tenant, and of the operator.
pub const KEYS_PER_SCOPE_MAX: usize = 100;
/// Starts of one invocation that were never settled, before it is dead-lettered.
pub const STARTS_WITHOUT_SETTLE_MAX: u32 = 5;

/// Rows of one page of a listing: usual and most.
pub const PAGE_DEFAULT: usize = 50;
pub const PAGE_MAX: usize = 1_000;
