//! API keys and tokens that their vendors gave a prefix.

mod forms;

use super::bytes::{at, before, cut, entropy, run};
use super::{Kind, Scan};

/// The longest token that is read to its end.
const MAXIMUM_TOKEN_BYTES: usize = 512;

/// What a token consists of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Alphabet {
    Hex,
    Upper,
    Alphanumeric,
    /// base64url: with `-` and `_`.
    Url,
    /// And `.`, `=`, `+`, `/`.
    Any,
}

/// A vendor's token: its prefix, what follows, and how long that is.
pub(super) struct Token {
    pub(super) prefix: &'static str,
    rule: &'static str,
    alphabet: Alphabet,
    fewest: usize,
    most: usize,
}

const fn token(
    prefix: &'static str,
    rule: &'static str,
    alphabet: Alphabet,
    fewest: usize,
    most: usize,
) -> Token {
    Token { prefix, rule, alphabet, fewest, most }
}

use Alphabet::{Alphanumeric, Any, Hex, Upper, Url};

#[rustfmt::skip]
pub(super) const TOKENS: &[Token] = &[
    token("AKIA", "aws_access_key", Upper, 16, 16), token("ASIA", "aws_access_key", Upper, 16, 16),
    token("ABIA", "aws_access_key", Upper, 16, 16), token("ACCA", "aws_access_key", Upper, 16, 16),
    token("ghp_", "github", Alphanumeric, 30, 255), token("gho_", "github", Alphanumeric, 30, 255),
    token("ghu_", "github", Alphanumeric, 30, 255), token("ghs_", "github", Any, 30, 500),
    token("ghr_", "github", Alphanumeric, 30, 255), token("github_pat_", "github", Url, 40, 255),
    token("glpat-", "gitlab", Any, 18, 300), token("gldt-", "gitlab", Any, 18, 300),
    token("glrt-", "gitlab", Any, 18, 300), token("glptt-", "gitlab", Url, 18, 300), token("glcbt-", "gitlab", Url, 18, 300),
    token("xoxb-", "slack", Url, 16, 300), token("xoxp-", "slack", Url, 16, 300), token("xoxa-", "slack", Url, 16, 300),
    token("xoxr-", "slack", Url, 16, 300), token("xoxs-", "slack", Url, 16, 300), token("xoxe-", "slack", Url, 16, 300),
    token("xoxc-", "slack", Url, 16, 300), token("xoxd-", "slack", Any, 16, 300),
    token("xapp-", "slack", Url, 16, 300), token("hooks.slack.com/services/", "slack_webhook", Any, 30, 100),
    token("sk_live_", "stripe", Alphanumeric, 16, 255), token("rk_live_", "stripe", Alphanumeric, 16, 255),
    token("sk_test_", "stripe", Alphanumeric, 16, 255), token("rk_test_", "stripe", Alphanumeric, 16, 255),
    token("whsec_", "stripe", Any, 24, 100), token("sk-ant-", "anthropic", Url, 20, 255),
    token("sk-proj-", "openai", Url, 20, 255), token("sk-svcacct-", "openai", Url, 20, 255),
    token("sk-admin-", "openai", Url, 20, 255), token("sk-or-v1-", "openrouter", Hex, 32, 128),
    token("sk-lf-", "langfuse", Url, 20, 100), token("sk-", "openai", Alphanumeric, 32, 100),
    token("AIza", "google", Url, 35, 36), token("ya29.", "google_oauth", Url, 20, 500),
    token("GOCSPX-", "google_oauth", Url, 24, 40), token("1//0", "google_oauth", Url, 40, 200),
    token("npm_", "npm", Alphanumeric, 36, 40), token("pypi-", "pypi", Url, 50, 500),
    token("SK", "twilio", Hex, 32, 32), token("AC", "twilio", Hex, 32, 32), token("SG.", "sendgrid", Any, 40, 80),
    token("key-", "mailgun", Hex, 32, 32), token("hf_", "hugging_face", Alphanumeric, 30, 40),
    token("api_org_", "hugging_face", Alphanumeric, 30, 40), token("r8_", "replicate", Alphanumeric, 37, 40),
    token("gsk_", "groq", Alphanumeric, 40, 60), token("pplx-", "perplexity", Alphanumeric, 40, 60),
    token("xai-", "xai", Alphanumeric, 60, 100), token("dop_v1_", "digitalocean", Hex, 64, 64),
    token("doo_v1_", "digitalocean", Hex, 64, 64), token("shpat_", "shopify", Hex, 32, 32),
    token("shpss_", "shopify", Hex, 32, 32), token("shpca_", "shopify", Hex, 32, 32), token("sq0atp-", "square", Url, 22, 30),
    token("sq0csp-", "square", Url, 40, 50), token("EAAA", "square", Url, 56, 70), token("EAACEdEose0cBA", "facebook", Alphanumeric, 20, 300),
    token("dapi", "databricks", Hex, 32, 34), token("hvs.", "vault", Url, 24, 200), token("hvb.", "vault", Url, 24, 300),
    token("lin_api_", "linear", Alphanumeric, 40, 40), token("secret_", "notion", Alphanumeric, 43, 43),
    token("ntn_", "notion", Alphanumeric, 40, 50), token("figd_", "figma", Url, 40, 50), token("PMAK-", "postman", Url, 50, 70),
    token("dckr_pat_", "docker", Url, 27, 40), token("NRAK-", "new_relic", Upper, 27, 27), token("sntrys_", "sentry", Any, 60, 400),
    token("glc_", "grafana", Any, 32, 400), token("glsa_", "grafana", Url, 40, 50), token("tskey-", "tailscale", Url, 20, 100),
    token("rubygems_", "rubygems", Hex, 48, 48), token("cio", "crates_io", Alphanumeric, 32, 32),
    token("atlasv1.", "terraform", Url, 50, 100), token("ATATT3", "atlassian", Any, 100, 300),
    token("AccountKey=", "azure_storage", Any, 80, 90), token("SharedAccessKey=", "azure", Any, 40, 90),
    token("sig=", "azure_sas", Any, 43, 64), token("eyJ", "jwt", Any, 20, 8192),
    token("Bearer ", "bearer", Any, 16, 4096), token("Basic ", "basic", Any, 8, 512),
    token("discord.com/api/webhooks/", "discord_webhook", Any, 60, 120),
    token("6Q~", "azure_client_secret", Any, 31, 34), token("7Q~", "azure_client_secret", Any, 31, 34),
    token("8Q~", "azure_client_secret", Any, 31, 34), token("9Q~", "azure_client_secret", Any, 31, 34),
    token(":AA", "telegram", Url, 32, 34), token("-us", "mailchimp", Alphanumeric, 1, 2),
    token("ATBB", "bitbucket", Alphanumeric, 28, 40), token("HRKU-", "heroku", Url, 36, 100),
    token("sbp_", "supabase", Hex, 40, 40), token("sb_secret_", "supabase", Url, 24, 60),
    token("fm1r_", "fly", Any, 60, 4096), token("fm1a_", "fly", Any, 60, 4096), token("fm2_", "fly", Any, 60, 4096),
    token("dp.pt.", "doppler", Alphanumeric, 40, 44), token("dp.st.", "doppler", Any, 40, 80),
    token("dp.ct.", "doppler", Alphanumeric, 40, 44), token("dp.sa.", "doppler", Alphanumeric, 40, 44),
    token("dp.scim.", "doppler", Alphanumeric, 40, 44), token("dp.audit.", "doppler", Alphanumeric, 40, 44),
    token("tgp_v1_", "together", Url, 40, 50), token("pcl_", "portcullis", Url, 48, 76),
];

pub(super) fn find(scan: &mut Scan<'_>) {
    forms::find_discord(scan);
    let sightings = std::mem::take(&mut scan.sightings.tokens);
    let mut covered = 0;
    for (row, range) in sightings {
        let Some(token) = TOKENS.get(row) else { continue };
        if range.start < covered {
            continue;
        }
        let is_word = before(scan.text, range.start).is_ascii_alphanumeric();
        let is_exact = cut(scan.text, range.start, range.end) == token.prefix.as_bytes();
        let is_scheme = matches!(token.rule, "bearer" | "basic");
        let has_more_before =
            matches!(token.rule, "azure_client_secret" | "telegram" | "mailchimp");
        if is_word && !has_more_before || !(is_exact || is_scheme) {
            continue;
        }
        let found = match token.rule {
            "azure_client_secret" => forms::azure_client_secret(scan.text, &range, token),
            "azure_sas" => forms::azure_signature(scan.text, &range),
            "telegram" => forms::telegram(scan.text, &range, token),
            "mailchimp" => forms::mailchimp(scan.text, &range),
            "jwt" => jwt(scan.text, range.start).map(|end| (range.start, end)),
            "bearer" | "basic" => credentials(scan.text, range.end, token),
            _ => vendor(scan.text, range.start, range.end, token),
        };
        let Some((start, end)) = found else { continue };
        let score = if token.rule == "github" && github_checksum(cut(scan.text, start, end)) {
            1.0
        } else {
            0.95
        };
        scan.report(Kind::Secret, token.rule, start..end, score);
        covered = end;
        if token.rule == "aws_access_key"
            && let Some(secret) = aws_secret(scan.text, end)
        {
            scan.report(Kind::Secret, "aws_secret_key", secret, 0.9);
        }
    }
}

fn vendor(text: &[u8], start: usize, from: usize, token: &Token) -> Option<(usize, usize)> {
    let is_in = |byte: u8| match token.alphabet {
        Hex => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
        Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
        Alphanumeric => byte.is_ascii_alphanumeric(),
        Url => byte.is_ascii_alphanumeric() || b"-_".contains(&byte),
        Any => byte.is_ascii_alphanumeric() || b"-_.=+/%".contains(&byte),
    };
    let mut end = run(text, from, MAXIMUM_TOKEN_BYTES, is_in);
    if token.most > MAXIMUM_TOKEN_BYTES && end - from == MAXIMUM_TOKEN_BYTES {
        // Long enough to be one; and whatever is read to its end here is not read again.
        let is_random = entropy(cut(text, from, end)) > 4.0;
        end = if is_random { run(text, from, token.most, is_in) } else { end };
    }
    while end > from && matches!(before(text, end), b'.' | b'-') {
        end -= 1;
    }
    let value = cut(text, from, end);
    let is_long = (token.fewest..=token.most).contains(&value.len());
    let is_clear = !at(text, end).is_ascii_alphanumeric()
        || token.most > MAXIMUM_TOKEN_BYTES && end - from == token.most;
    // Tokens have digits and letters; words behind a prefix, or x in place of each letter, have not.
    let is_mixed =
        value.iter().any(u8::is_ascii_digit) && value.iter().any(u8::is_ascii_alphabetic);
    (is_long && is_clear && is_mixed && entropy(value) > 2.5).then_some((start, end))
}

/// Where a JSON Web Token (RFC 7519) or an encrypted one ends.
fn jwt(text: &[u8], start: usize) -> Option<usize> {
    if matches!(before(text, start), b'-' | b'_' | b'.') {
        return None;
    }
    let is_in = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=".contains(&byte);
    let header = run(text, start, 4096, is_in);
    let payload = run(text, header + 1, 8192, is_in);
    let is_token = at(text, header) == b'.' && header - start >= 10 && payload - header > 8;
    let mut end = payload;
    for _ in 0..3 {
        if at(text, end) == b'.' {
            end = run(text, end + 1, 8192, is_in);
        }
    }
    let end = if before(text, end) == b'.' { end - 1 } else { end };
    (is_token && end > payload).then_some(end)
}

/// What follows an authentication scheme (RFC 9110 §11.4).
fn credentials(text: &[u8], start: usize, token: &Token) -> Option<(usize, usize)> {
    let is_in = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    let end = run(text, start, token.most, is_in);
    let value = cut(text, start, end);
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let has = |is: fn(&u8) -> bool| value.iter().any(is);
    let is_mixed = has(u8::is_ascii_alphabetic) && (digits > 0 || has(u8::is_ascii_uppercase));
    let is_secret = if token.rule == "basic" {
        // base64 of something with a colon in it.
        use base64::Engine as _;
        let decoded = base64::engine::general_purpose::STANDARD.decode(value);
        decoded.is_ok_and(|bytes| bytes.contains(&b':') && bytes.is_ascii())
    } else {
        is_mixed && digits > 0 && entropy(value) > 3.0
    };
    (value.len() >= token.fewest && is_secret).then_some((start, end))
}

/// The secret that belongs to an access key stands beside it: 40 characters of base64.
fn aws_secret(text: &[u8], from: usize) -> Option<std::ops::Range<usize>> {
    let is_in = |byte: u8| byte.is_ascii_alphanumeric() || b"+/".contains(&byte);
    let limit = from + 200;
    let mut place = from;
    while place < limit.min(text.len()) {
        let start = place + cut(text, place, limit).iter().position(|byte| is_in(*byte))?;
        let end = run(text, start, 256, is_in);
        if end - start == 40 && entropy(cut(text, start, end)) > 4.0 {
            return Some(start..end);
        }
        place = end + 1;
    }
    None
}

/// The last six characters are the CRC-32 of those before, in base 62.
fn github_checksum(token: &[u8]) -> bool {
    let Some((_, body)) = token.split_at_checked(4) else { return false };
    let Some((body, check)) = body.len().checked_sub(6).and_then(|at| body.split_at_checked(at))
    else {
        return false;
    };
    let crc = body.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg())
        })
    });
    let check = check.iter().try_fold(0_u64, |value, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'Z' => byte - b'A' + 10,
            b'a'..=b'z' => byte - b'a' + 36,
            _ => return None,
        };
        Some(value * 62 + u64::from(digit))
    });
    check == Some(u64::from(!crc))
}
