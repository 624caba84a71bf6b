//! The JavaScript that surrounds a tenant's: evaluated at deploy time, so that it lies ready in every image.

/// An expression: a function of the guest's host object that returns the hooks (see engines/quickjs/glue.c). The files
/// are one function's body, in this order.
pub(super) const PRELUDE: &str = concat!(
    "(function (host) {\n\"use strict\";\n",
    include_str!("prelude/captured.js"),
    include_str!("prelude/source_map.js"),
    include_str!("prelude/failure.js"),
    include_str!("prelude/console.js"),
    include_str!("prelude/modules.js"),
    include_str!("prelude/hooks.js"),
    "})"
);
