//! Addresses that a service must not be sent to, and files from elsewhere.

use super::super::Kind;
use super::findings::Findings;
use super::host::{Place, place};
use super::lexicon::{FILE_SCHEME, FORGED_SCHEME, LOCAL_HOST, WEB_SCHEME};
use super::tokens::{END, NUMBER, Token, Tokens, WORD};

/// The longest name of a host.
const MAX_HOST: usize = 255;

/// Looks at the tokens as addresses.
#[derive(Debug, Default)]
pub(super) struct Address {
    /// Where the last name of a host ended. Whoever repeats `http:` must not have all the rest read each time.
    read_to: u32,
}

impl Address {
    /// Looks at the colon at `index` as the end of a scheme.
    pub(super) fn look_colon(
        &mut self,
        tokens: &Tokens<'_>,
        index: usize,
        token: Token,
        findings: &mut Findings,
    ) {
        let scheme = tokens.before(index, 1);
        if !scheme.is(WORD) || token.spaced {
            return;
        }
        let slashes = (1..=3)
            .take_while(|offset| matches!(tokens.at(index + offset).shape, b'/' | b'\\'))
            .count();
        let next = tokens.at(index + 1);
        let is_glued = !next.spaced && !next.is_end();
        let name = tokens.word(scheme);
        if scheme.has(FORGED_SCHEME)
            && slashes >= 2
            && !matches!(
                name,
                b"mailto"
                    | b"imap"
                    | b"smb"
                    | b"sftp"
                    | b"ssh2"
                    | b"redis"
                    | b"mysql"
                    | b"postgres"
            )
        {
            findings.add(
                Kind::Ssrf,
                "scheme",
                if name == b"php" { 0.1 } else { 0.7 },
                scheme,
                next,
            );
        }
        if name == b"jar" && next.has(WEB_SCHEME) && is_glued {
            findings.add(Kind::Ssrf, "scheme", 0.7, scheme, next);
        }
        if scheme.has(FILE_SCHEME) && (slashes >= 2 || slashes == 1 && name == b"file") {
            findings.add(Kind::FileInclusion, "scheme", 0.7, scheme, next);
        } else if scheme.has(FILE_SCHEME)
            && is_glued
            && matches!(name, b"expect" | b"php" | b"phar")
            && next.is(WORD)
        {
            findings.add(Kind::FileInclusion, "scheme", 0.4, scheme, next);
        }
        let is_address =
            scheme.has(WEB_SCHEME) && is_glued && (slashes > 0 || self.read_to <= scheme.start)
                || scheme.has(FORGED_SCHEME | FILE_SCHEME) && slashes >= 2;
        if is_address {
            self.read_to = look_host(tokens, index + 1 + slashes, scheme, findings);
            remote(tokens, index, slashes, scheme, findings);
        }
    }
}

/// Looks at two slashes at the beginning as a URL without a scheme, and at names that are local.
pub(super) fn look_start(tokens: &Tokens<'_>, findings: &mut Findings) {
    if !tokens.is_first {
        return;
    }
    if tokens.are(0, b"//") {
        look_host(tokens, 2, tokens.at(0), findings);
        return;
    }
    // `\\host\share`: Windows logs in there.
    if tokens.are(0, b"\\\\") && tokens.at(2).is_glued(WORD) | tokens.at(2).is_glued(NUMBER) {
        findings.add(Kind::Ssrf, "network_share", 0.5, tokens.at(0), tokens.at(2));
        return;
    }
    let first = tokens.at(0);
    let end = (0..12)
        .find(|offset| tokens.at(*offset).is(b'/') || tokens.at(*offset).spaced && *offset > 0);
    // `localhost/` and below, without a scheme.
    if first.has(LOCAL_HOST) && end.is_some_and(|end| tokens.at(end).is(b'/'))
        || end.is_some_and(|end| end > 1 && tokens.at(end).is(b'/') && is_local_suffix(tokens, end))
    {
        look_host(tokens, 0, first, findings);
    }
}

/// `gateway.docker.internal/`.
fn is_local_suffix(tokens: &Tokens<'_>, end: usize) -> bool {
    matches!(
        tokens.word(tokens.before(end, 1)),
        b"internal" | b"local" | b"localdomain" | b"localdomain4" | b"localdomain6"
    )
}

/// Looks at the host that begins at `index`, and says where it ends.
fn look_host(tokens: &Tokens<'_>, index: usize, first: Token, findings: &mut Findings) -> u32 {
    let start = usize::try_from(tokens.at(index).start).unwrap_or(usize::MAX);
    let rest = tokens.bytes.get(start..).unwrap_or_default();
    let ends = |(at, byte): &(usize, &u8)| match byte {
        // `http://one#@two`: parsers differ about which of them is the host.
        b'#' | b'?' | b'\\' => rest.get(at + 1) != Some(&b'@'),
        b'/' | b' ' | b'"' | b'\'' | b'<' | b'>' | b'`' | b',' | b')' | b'&' | b'}' => true,
        _ => false,
    };
    let length = rest.iter().take(MAX_HOST).enumerate().take_while(|place| !ends(place)).count();
    let authority = rest.get(..length).unwrap_or_default();
    // Parsers differ about two at signs: whatever stands on either side may be the host.
    let mut parts = authority.split(|byte| *byte == b'@');
    let host = |part: &[u8]| {
        place(part.split(|byte| matches!(byte, b'#' | b'?' | b'\\')).next().unwrap_or(part))
    };
    let first_part = parts.next().map(host);
    let found = first_part.max(parts.next_back().map(host)).unwrap_or(Place::Elsewhere);
    let last = tokens.at(index);
    match found {
        Place::Metadata => findings.add(Kind::Ssrf, "metadata", 0.9, first, last),
        Place::Odd => findings.add(Kind::Ssrf, "odd_address", 0.8, first, last),
        Place::Local => findings.add(Kind::Ssrf, "local_address", 0.7, first, last),
        Place::Address => findings.add(
            Kind::RemoteFileInclusion,
            "address",
            address_score(tokens, index),
            first,
            last,
        ),
        Place::Elsewhere => {}
    }
    u32::try_from(start.saturating_add(length)).unwrap_or(u32::MAX)
}

/// An address instead of a name is suspicious if a script is fetched from it.
fn address_score(tokens: &Tokens<'_>, index: usize) -> f32 {
    let is_script = (1..24).any(|offset| {
        let token = tokens.at(index + offset);
        matches!(
            tokens.word(token),
            b"php" | b"asp" | b"aspx" | b"jsp" | b"txt" | b"sh" | b"pl" | b"cgi" | b"exe" | b"ps1"
        ) && tokens.before(index + offset, 1).is_glued(b'.')
    });
    if is_script { 0.6 } else { 0.3 }
}

/// `page=http://elsewhere/shell.txt?`: a URL that is the value of another one's parameter, or cuts off what follows.
fn remote(
    tokens: &Tokens<'_>,
    colon: usize,
    slashes: usize,
    scheme: Token,
    findings: &mut Findings,
) {
    if slashes < 2 || !scheme.has(WEB_SCHEME) {
        return;
    }
    let last = tokens.last();
    let is_cut = tokens.is_last
        && last.is(b'?')
        && tokens.len() - colon < 40
        && (colon + 1..tokens.len()).all(|index| !tokens.at(index).spaced);
    let opener = tokens.before(colon, 2);
    let is_value = opener.is(b'=') && matches!(tokens.before(colon, 3).shape, WORD | b']');
    let is_extension = |at: usize, names: &[&[u8]]| {
        names.contains(&tokens.word(tokens.at(at))) && tokens.before(at, 1).is_glued(b'.')
    };
    // What is included is code, whatever it is called, and what follows is cut off.
    let is_script = (3..40).map(|offset| colon + offset).any(|at| {
        let end = tokens.at(at + 1);
        is_extension(at, &[b"php", b"inc", b"asp", b"dat"])
            && matches!(end.shape, b'?' | b'%' | END)
            || is_extension(at, &[b"txt", b"gif", b"jpg"]) && matches!(end.shape, b'?' | b'%')
    });
    let is_for_script = (2..40).filter_map(|back| colon.checked_sub(back)).any(|at| {
        is_extension(
            at,
            &[b"php", b"php3", b"php5", b"phtml", b"asp", b"aspx", b"jsp", b"cgi", b"pl"],
        )
    });
    let score = match () {
        () if is_cut => 0.6,
        () if is_value && (is_script || is_for_script) => 0.6,
        () => return,
    };
    findings.add(Kind::RemoteFileInclusion, "remote", score, scheme, tokens.at(colon + 3));
}
