//! Services beside the one that is behind the gate: each has a path, or all below one.

use std::fmt::Display;
use std::str::FromStr;

/// A service, and the path of the requests that go to it; where that ends in a slash, all paths that begin so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamAt<U> {
    path: String,
    /// The service.
    pub upstream: U,
}

impl<U> UpstreamAt<U> {
    /// The path, or what paths begin with.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether all paths go there that begin so.
    #[must_use]
    pub fn is_prefix(&self) -> bool {
        self.path.ends_with('/')
    }

    /// Whether requests for a path, without its query, go there.
    #[must_use]
    pub fn takes(&self, path: &str) -> bool {
        match self.is_prefix() {
            true => path.starts_with(&self.path),
            false => path == self.path,
        }
    }
}

/// The order in which they are asked, whichever they were given in: the more of a path one names, the earlier.
///
/// # Errors
///
/// What was expected, where two have the same path.
pub fn in_order<U>(mut services: Vec<UpstreamAt<U>>) -> Result<Vec<UpstreamAt<U>>, String> {
    services.sort_by(|a, b| (b.path.len(), &a.path).cmp(&(a.path.len(), &b.path)));
    match services.windows(2).find(|pair| pair[0].path == pair[1].path) {
        Some(pair) => Err(format!("--upstream-at {}: expected each path once", pair[0].path)),
        None => Ok(services),
    }
}

impl<U: FromStr> FromStr for UpstreamAt<U>
where
    U::Err: Display,
{
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, upstream) = text.split_once('=').ok_or("expected PATH=SERVICE")?;
        if !is_plain(path) {
            return Err("expected a path such as /encrypted/ or /a/b, of letters, digits and -_. \
                        between slashes"
                .to_owned());
        }
        let upstream = upstream.parse().map_err(|error: U::Err| error.to_string())?;
        Ok(Self { path: path.to_owned(), upstream })
    }
}

/// Whether there is one way to write it: the gate, Envoy and the service must read the same.
fn is_plain(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let Some(rest) = path.strip_prefix('/') else { return false };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let fits = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(plain);
    path.len() <= 256 && rest.split('/').all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UpstreamAt<u16> {
        text.parse().unwrap()
    }

    #[test]
    fn a_path_is_one_or_all_below_it() {
        let (one, below) = (at("/a=1"), at("/a/=2"));
        for (path, by_one, by_below) in [
            ("/a", true, false),
            ("/a/", false, true),
            ("/a/b", false, true),
            ("/ab", false, false),
            ("/A", false, false),
            ("/", false, false),
        ] {
            assert_eq!((one.takes(path), below.takes(path)), (by_one, by_below), "{path}");
        }
    }

    #[test]
    fn the_longest_path_is_asked_first_and_each_is_there_once() {
        let services =
            in_order(vec![at("/a/=1"), at("/a/b=2"), at("/a/b/=3"), at("/c=4")]).unwrap();
        let order: Vec<u16> = services.iter().map(|service| service.upstream).collect();
        assert_eq!(order, [3, 2, 1, 4]);
        let error = in_order(vec![at("/a=1"), at("/b=1"), at("/a=2")]).unwrap_err();
        assert!(error.contains("/a: expected each path once"), "{error}");
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_no_path() {
        for bad in [
            "", "=1", "/a", "/=1", "a=1", "//=1", "/a//b=1", "/../a=1", "/a/./=1", "/%61=1",
            "/a?b=1", "/a b=1", "/é=1", "/a=", "/a=x", "/a\n=1",
        ] {
            assert!(bad.parse::<UpstreamAt<u16>>().is_err(), "{bad:?}");
        }
    }
}
