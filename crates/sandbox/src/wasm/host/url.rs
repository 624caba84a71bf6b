//! URLs by the standard: parsing and the setters' semantics are the `url` crate's, but for files and a few corners that
//! are mended here. What the guest keeps is the serialization, which it takes apart itself.

use url::{Position, Url, quirks};

use super::call::{Answer, CallError};
use super::file_url::{FileUrl, cleaned, split_scheme};

const PARSE: i32 = 1;
const SET: i32 = 2;
const DOMAIN_TO_ASCII: i32 = 3;
const DOMAIN_TO_UNICODE: i32 = 4;

const FILE: &str = "file:";
/// Those whose host is a domain, which may have to be encoded.
const SPECIAL: [&str; 5] = ["http", "https", "ws", "wss", "ftp"];
/// Bytes of a host that is not plain ASCII: encoding one takes the square of each label, in one step of the host's. DNS
/// knows 253.
pub(super) const HOST_BYTES_MAX: usize = 4096;
/// Stands before a path that would read as a host otherwise.
const GUARD: &str = "/.";

pub(super) fn call(operation: i32, request: &[u8]) -> Answer {
    let Ok(text) = std::str::from_utf8(request) else {
        return Err(CallError::new("TypeError", "a URL that is not UTF-8"));
    };
    let answer = match operation {
        PARSE => parse(text).unwrap_or_default(),
        SET => set(text).ok_or_else(|| CallError::new("TypeError", "the setter changes nothing"))?,
        DOMAIN_TO_ASCII => quirks::domain_to_ascii(text),
        DOMAIN_TO_UNICODE => quirks::domain_to_unicode(text),
        _ => return Err(CallError::new("TypeError", "the host has no such operation")),
    };
    Ok(answer.into_bytes())
}

/// `BASE NUL INPUT`, the base empty if there is none and else serialized; what is not a URL is answered by nothing.
fn parse(text: &str) -> Option<String> {
    let (base, input) = text.split_once('\0')?;
    let input = cleaned(input);
    if !host_fits(base, "") || !host_fits(&input, base) {
        return None;
    }
    let base_file = base.strip_prefix(FILE).and_then(|rest| FileUrl::parse(rest, None));
    match split_scheme(&input) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("file") => {
            FileUrl::parse(rest, base_file.as_ref()).map(|url| url.to_string())
        }
        None if base_file.is_some() => FileUrl::parse(&input, base_file.as_ref()).map(|url| url.to_string()),
        _ if base.is_empty() => Url::parse(&input).ok().map(String::from),
        Some(_) if base_file.is_some() => Url::parse(&input).ok().map(String::from),
        _ => Url::parse(base).ok()?.join(&input).ok().map(String::from),
    }
}

/// Whether what may be the host in `input` is one that can be encoded here and now.
fn host_fits(input: &str, base: &str) -> bool {
    let is_special = |scheme: &str| SPECIAL.iter().any(|special| special.eq_ignore_ascii_case(scheme));
    let rest = match split_scheme(input) {
        Some((scheme, rest)) if is_special(scheme) => rest,
        None if split_scheme(base).is_some_and(|(scheme, _)| is_special(scheme)) => input,
        _ => return true,
    };
    let rest = rest.trim_start_matches(['/', '\\']);
    let authority = &rest[..rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len())];
    let host = authority.rsplit('@').next().unwrap_or_default();
    host.len() <= HOST_BYTES_MAX || (host.is_ascii() && !host.contains('%'))
}

/// `ATTRIBUTE NUL URL NUL VALUE`; none if the value is not accepted.
fn set(text: &str) -> Option<String> {
    let (attribute, rest) = text.split_once('\0')?;
    let (href, value) = rest.split_once('\0')?;
    if matches!(attribute, "host" | "hostname") && value.len() > HOST_BYTES_MAX {
        return None;
    }
    if let Some(rest) = href.strip_prefix(FILE) {
        let file = FileUrl::parse(rest, None)?;
        return match attribute {
            // Without a host there is nothing that another scheme could do with it.
            "protocol" if file.has_host() => set_on(Url::parse(href).ok()?, attribute, value).map(String::from),
            _ => file.set(attribute, value).map(|url| url.to_string()),
        };
    }
    let url = Url::parse(href).ok()?;
    if url.cannot_be_a_base() || url.is_special() {
        return set_on(url, attribute, value).map(String::from);
    }
    set_beside_guard(&url, attribute, value)
}

fn set_on(mut url: Url, attribute: &str, value: &str) -> Option<Url> {
    match attribute {
        "protocol" => quirks::set_protocol(&mut url, value).ok()?,
        "username" => quirks::set_username(&mut url, value).ok()?,
        "password" => quirks::set_password(&mut url, value).ok()?,
        "host" => quirks::set_host(&mut url, value).ok()?,
        "hostname" => quirks::set_hostname(&mut url, value).ok()?,
        "port" => quirks::set_port(&mut url, value).ok()?,
        "pathname" => quirks::set_pathname(&mut url, value),
        "search" => quirks::set_search(&mut url, value),
        "hash" => quirks::set_hash(&mut url, value),
        _ => return None,
    }
    Some(url)
}

/// On a URL whose scheme is not special: the crate takes the guard for a part of the path once something changes.
fn set_beside_guard(url: &Url, attribute: &str, value: &str) -> Option<String> {
    let had_host = url.has_authority();
    if attribute == "pathname" {
        if had_host && value.is_empty() {
            return Some(format!("{}{}", &url[..Position::BeforePath], &url[Position::AfterPath..]));
        }
        if !had_host {
            // Set where there is a host, so that no path can be taken for one.
            let with_host = format!("{}://h/{}", url.scheme(), &url[Position::AfterPath..]);
            let value = if value.is_empty() { "/" } else { value };
            let url = set_on(Url::parse(&with_host).ok()?, attribute, value)?;
            let guard = if url.path().starts_with("//") { GUARD } else { "" };
            return Some(format!("{}:{guard}{}", url.scheme(), &url[Position::BeforePath..]));
        }
    }
    let url = set_on(url.clone(), attribute, value)?;
    let before = &url[..Position::BeforePath];
    match before.strip_suffix(GUARD) {
        Some(before) if !had_host && url.has_authority() => Some(format!("{before}{}", &url[Position::BeforePath..])),
        _ => Some(url.into()),
    }
}
