//! HTTP/1.1 as far as a page needs it: RFC 9112. What a request asks for, and how an answer is
//! written.

use std::fmt::Write;

use httparse::{EMPTY_HEADER, Header, Status};

/// The longest head of a request: more than a browser's with its cookies.
pub const HEAD_MAX_BYTES: usize = 8 * 1024;

/// The most header lines of a request.
const HEADERS_MAX: usize = 64;

/// A request that can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// What is asked for, without a query.
    pub path: &'a str,
    /// It takes OpenMetrics, where there is a choice.
    pub takes_openmetrics: bool,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The status code and its words.
    pub status: &'static str,
    /// Its media type.
    pub content_type: &'static str,
    /// The text itself.
    pub body: String,
}

/// Plain text.
pub const TEXT: &str = "text/plain; charset=utf-8";

impl Page {
    /// A word or two.
    #[must_use]
    pub fn text(status: &'static str, text: &str) -> Self {
        Self {
            status,
            content_type: TEXT,
            body: text.into(),
        }
    }

    /// There is no such page.
    #[must_use]
    pub fn not_found() -> Self {
        Self::text("404 Not Found", "not found")
    }
}

/// What the bytes that have come so far are.
#[derive(Debug, PartialEq, Eq)]
pub enum Read<'a> {
    /// The beginning of a head.
    Partial,
    /// A whole one.
    Whole {
        /// How many bytes it has.
        len: usize,
        /// GET: the page itself is wanted, not only what it would be.
        wants_body: bool,
        /// The connection stays open for another request.
        stays: bool,
        /// What for.
        request: Request<'a>,
    },
    /// One that is refused, with the page that says why; the connection ends behind it.
    Refused(Page),
}

/// Reads the first request of these bytes.
#[must_use]
pub fn read(bytes: &[u8]) -> Read<'_> {
    let bad = |why| Read::Refused(Page::text("400 Bad Request", why));
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    let len = match parsed.parse(bytes) {
        Ok(Status::Complete(len)) if len <= HEAD_MAX_BYTES => len,
        Ok(Status::Partial) if bytes.len() < HEAD_MAX_BYTES => return Read::Partial,
        Ok(_) => return bad("the head of the request is too long"),
        Err(_) => return bad("this is no HTTP request"),
    };
    let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version)
    else {
        return bad("this is no HTTP request");
    };
    if !matches!(method, "GET" | "HEAD") {
        return Read::Refused(Page::text("405 Method Not Allowed", "GET and HEAD only"));
    }
    let headers = Headers(parsed.headers);
    if headers.announce_a_body() {
        return bad("a request with a body");
    }
    Read::Whole {
        len,
        wants_body: method == "GET",
        stays: headers.keep_open(version),
        request: Request {
            path: path_of(target),
            takes_openmetrics: headers.take_openmetrics(),
        },
    }
}

/// A target can be a whole URL, as it is for a proxy; a query changes nothing here.
fn path_of(target: &str) -> &str {
    let target = target.split(['?', '#']).next().unwrap_or_default();
    match target.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => target,
    }
}

struct Headers<'h, 'b>(&'h [Header<'b>]);

impl Headers<'_, '_> {
    /// The words of all lines of this name, which are lists with commas.
    fn words(&self, name: &str) -> impl Iterator<Item = &str> {
        let lines = self
            .0
            .iter()
            .filter(move |it| it.name.eq_ignore_ascii_case(name));
        let values = lines.filter_map(|it| std::str::from_utf8(it.value).ok());
        values.flat_map(|value| value.split(',')).map(str::trim)
    }

    fn announce_a_body(&self) -> bool {
        self.words("content-length").any(|len| len != "0")
            || self.words("transfer-encoding").next().is_some()
    }

    /// RFC 9112 section 9.3.
    fn keep_open(&self, version: u8) -> bool {
        let says = |what: &str| {
            self.words("connection")
                .any(|it| it.eq_ignore_ascii_case(what))
        };
        !says("close") && (version > 0 || says("keep-alive"))
    }

    /// Prometheus lists what it takes, each with how much it would like it; RFC 9110 section 12.5.1.
    fn take_openmetrics(&self) -> bool {
        let mut openmetrics: f32 = 0.0;
        let mut plain: f32 = 0.0;
        for range in self.words("accept") {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            let mut quality = 1.0;
            let mut is_version_1 = true;
            for (name, value) in parts.filter_map(|part| part.split_once('=')) {
                match name {
                    "q" => quality = value.parse().unwrap_or(0.0),
                    "version" => is_version_1 = value == "1.0.0",
                    _ => {}
                }
            }
            if kind.eq_ignore_ascii_case("application/openmetrics-text") && is_version_1 {
                openmetrics = openmetrics.max(quality);
            } else if kind.eq_ignore_ascii_case("text/plain") {
                plain = plain.max(quality);
            }
        }
        openmetrics > 0.0 && openmetrics >= plain
    }
}

/// Writes an answer behind those that wait.
pub fn write(page: &Page, wants_body: bool, stays: bool, output: &mut Vec<u8>) {
    let mut head = format!(
        "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n",
        page.status,
        page.content_type,
        page.body.len()
    );
    if page.status.starts_with("405") {
        head.push_str("Allow: GET, HEAD\r\n");
    }
    let end = if stays { "" } else { "Connection: close\r\n" };
    let _ = write!(head, "{end}\r\n");
    output.extend_from_slice(head.as_bytes());
    if wants_body {
        output.extend_from_slice(page.body.as_bytes());
    }
}
