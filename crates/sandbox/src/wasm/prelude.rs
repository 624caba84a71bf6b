//! The JavaScript that surrounds a tenant's: evaluated at deploy time, so that it lies ready in every image.

/// An expression: a function of the guest's host object that returns the hooks (see engines/quickjs/glue.c). The files
/// are one function's body, in this order.
pub(super) const PRELUDE: &str = concat!(
    "(function (host) {\n\"use strict\";\n",
    include_str!("prelude/captured.js"),
    include_str!("prelude/source_map.js"),
    include_str!("prelude/failure.js"),
    include_str!("prelude/show.js"),
    include_str!("prelude/console.js"),
    include_str!("prelude/web/idl.js"),
    include_str!("prelude/web/timers.js"),
    include_str!("prelude/web/event.js"),
    include_str!("prelude/web/abort.js"),
    include_str!("prelude/web/clone.js"),
    include_str!("prelude/web/text.js"),
    include_str!("prelude/web/search.js"),
    include_str!("prelude/web/url.js"),
    include_str!("prelude/web/readable.js"),
    include_str!("prelude/web/writable.js"),
    include_str!("prelude/web/transform.js"),
    include_str!("prelude/web/blob.js"),
    include_str!("prelude/web/headers.js"),
    include_str!("prelude/web/form.js"),
    include_str!("prelude/web/body.js"),
    include_str!("prelude/web/request.js"),
    include_str!("prelude/web/fetch.js"),
    include_str!("prelude/web/navigator.js"),
    include_str!("prelude/web/portraits.js"),
    include_str!("prelude/modules.js"),
    include_str!("prelude/hooks.js"),
    "})"
);
