//! What follows from an answer that says "elsewhere", as the Fetch standard says it: pure.

use http::StatusCode;
use url::Url;

use super::call::URL_CHARS_MAX;

/// Redirects of one request.
pub(super) const REDIRECTS_MAX: u32 = 5;

/// The request that follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) url: Url,
    /// The method becomes GET, and the body goes with what is said of it.
    pub(super) becomes_get: bool,
    /// Credentials do not go along.
    pub(super) changes_origin: bool,
}

pub(super) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Errors: text for the tenant.
pub(super) fn step(from: &Url, method: &str, status: StatusCode, location: &[u8]) -> Result<Step, String> {
    let text =
        std::str::from_utf8(location).map_err(|_| "fetch failed: a redirect leads to what is no URL".to_owned())?;
    let mut url = from.join(text).map_err(|_| "fetch failed: a redirect leads to what is no URL".to_owned())?;
    url.set_fragment(None);
    if url.as_str().len() > URL_CHARS_MAX {
        return Err(format!("fetch failed: a redirect leads to a URL longer than {URL_CHARS_MAX} characters"));
    }
    let becomes_get = match status.as_u16() {
        303 => !matches!(method, "GET" | "HEAD"),
        301 | 302 => method == "POST",
        _ => false,
    };
    let changes_origin = url.origin() != from.origin();
    Ok(Step { url, becomes_get, changes_origin })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_keeps_or_drops_method_and_credentials_as_the_standard_says() {
        let from = Url::parse("https://a.example/x/y?z=1").unwrap();
        for (status, method, location, url, becomes_get, changes_origin) in [
            (301, "POST", "/n", "https://a.example/n", true, false),
            (301, "PUT", "n", "https://a.example/x/n", false, false),
            (302, "POST", "https://b.example/#top", "https://b.example/", true, true),
            (302, "GET", "http://a.example/", "http://a.example/", false, true),
            (303, "PUT", "//a.example:8443/", "https://a.example:8443/", true, true),
            (303, "HEAD", "?q", "https://a.example/x/y?q", false, false),
            (307, "POST", "/n", "https://a.example/n", false, false),
            (308, "DELETE", "https://A.example:443/n", "https://a.example/n", false, false),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let step = step(&from, method, status, location.as_bytes()).unwrap();
            let expected = Step { url: Url::parse(url).unwrap(), becomes_get, changes_origin };
            assert_eq!(step, expected, "{status} {method} {location}");
        }
        assert!(step(&from, "GET", StatusCode::FOUND, b"https://[").is_err());
        assert!(step(&from, "GET", StatusCode::FOUND, b"/\xff").is_err());
        // Three characters of a URL for each of these.
        let long = format!("/{}", "<".repeat(URL_CHARS_MAX / 2));
        assert!(step(&from, "GET", StatusCode::FOUND, long.as_bytes()).unwrap_err().contains("longer than 8192"));
    }
}
