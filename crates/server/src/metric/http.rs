//! Requests by route. Handles are kept per route, because finding them by name and labels would be the dearest part of
//! a small request. Routes are those of our own table, so there are only so many.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use metrics::{Counter, Histogram, counter, histogram};

/// The label `method`; what is not among the others is the last.
const METHODS: [&str; 8] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "other"];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

static ROUTES: RwLock<Option<HashMap<String, Arc<Series>>>> = RwLock::new(None);

struct Series {
    seconds: Histogram,
    counts: [[OnceLock<Counter>; CLASSES.len()]; METHODS.len()],
}

impl Series {
    fn of(route: &str) -> Arc<Series> {
        if let Some(known) =
            ROUTES.read().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(|all| all.get(route))
        {
            return Arc::clone(known);
        }
        let mut routes = ROUTES.write().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let seconds = histogram!("sublet_http_request_seconds", "route" => route.to_owned());
            Arc::new(Series { seconds, counts: Default::default() })
        };
        Arc::clone(routes.get_or_insert_default().entry(route.to_owned()).or_insert_with(make))
    }
}

/// `route`: as our table spells it.
pub(crate) fn count(method: &str, route: &str, status: u16, seconds: f64) {
    let series = Series::of(route);
    let method = METHODS.iter().position(|known| *known == method).unwrap_or(METHODS.len() - 1);
    let class = usize::from(status / 100).clamp(1, CLASSES.len()) - 1;
    let make = || {
        let (method, status) = (METHODS[method], CLASSES[class]);
        counter!("sublet_http_requests_total", "method" => method, "route" => route.to_owned(), "status" => status)
    };
    series.counts[method][class].get_or_init(make).increment(1);
    series.seconds.record(seconds);
    let refused = match status {
        401 => "401",
        403 => "403",
        _ => return,
    };
    counter!("sublet_auth_failures_total", "status" => refused).increment(1);
}
