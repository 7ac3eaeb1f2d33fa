//! Paths in one form, so that no rule is passed by writing a path in another way.

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PathError {
    #[error("the path does not begin with a slash")]
    Relative,
    #[error("the path has an escaped slash or backslash")]
    EscapedSlash,
    #[error("the path has an invalid escape")]
    Escape,
}

/// The path as Envoy gives it on with `normalize_path`, `merge_slashes` and
/// `path_with_escaped_slashes_action: REJECT_REQUEST`: unreserved characters unescaped, dot
/// segments removed (RFC 3986 sections 6.2.2.2 and 5.2.4), slashes merged, backslashes turned.
/// The query stays as it is.
pub(super) fn normalise(path_and_query: &str) -> Result<String, PathError> {
    let (path, query) = match path_and_query.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path_and_query, None),
    };
    if !path.starts_with('/') {
        return Err(PathError::Relative);
    }
    let path = unescape(path)?.replace('\\', "/");

    let mut segments: Vec<&str> = Vec::new();
    let mut is_directory = false;
    for segment in path.split('/') {
        is_directory = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    let mut normal = String::with_capacity(path_and_query.len());
    for segment in &segments {
        normal.push('/');
        normal.push_str(segment);
    }
    if is_directory || normal.is_empty() {
        normal.push('/');
    }
    if let Some(query) = query {
        normal.push('?');
        normal.push_str(query);
    }
    Ok(normal)
}

/// Unescapes what need not be escaped; other escapes stay, in upper case.
fn unescape(path: &str) -> Result<String, PathError> {
    let mut parts = path.split('%');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.get(..2).ok_or(PathError::Escape)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(PathError::Escape);
        }
        let byte = u8::from_str_radix(digits, 16).map_err(|_| PathError::Escape)?;
        match byte {
            b'/' | b'\\' => return Err(PathError::EscapedSlash),
            0 => return Err(PathError::Escape),
            b'-' | b'.' | b'_' | b'~' => plain.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => plain.push(char::from(byte)),
            _ => {
                plain.push('%');
                plain.push_str(&digits.to_ascii_uppercase());
            }
        }
        plain.push_str(part.get(2..).unwrap_or_default());
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_for_each_path() {
        for (path, normal) in [
            ("/", "/"),
            ("/v1/predict", "/v1/predict"),
            ("/v1/predict/", "/v1/predict/"),
            ("//v1///predict", "/v1/predict"),
            ("/v1/./predict", "/v1/predict"),
            ("/public/../v1/predict", "/v1/predict"),
            ("/public/%2e%2E/v1/predict", "/v1/predict"),
            ("/../../v1", "/v1"),
            ("/v1/..", "/"),
            ("/v1/predict/.", "/v1/predict/"),
            ("/%76%31/predict", "/v1/predict"),
            ("/v1\\predict", "/v1/predict"),
            ("/a%3fb", "/a%3Fb"),
            ("/v1?x=/../%2f//", "/v1?x=/../%2f//"),
        ] {
            assert_eq!(normalise(path).as_deref(), Ok(normal), "{path}");
            assert_eq!(normalise(normal).as_deref(), Ok(normal), "{normal} is not stable");
        }
    }

    #[test]
    fn ambiguous_paths_are_refused() {
        for (path, error) in [
            ("", PathError::Relative),
            ("v1", PathError::Relative),
            ("/public%2f..%2fv1", PathError::EscapedSlash),
            ("/a%5Cb", PathError::EscapedSlash),
            ("/a%00b", PathError::Escape),
            ("/a%zz", PathError::Escape),
            ("/a%+1", PathError::Escape),
            ("/a%2", PathError::Escape),
            ("/a%é", PathError::Escape),
        ] {
            assert_eq!(normalise(path), Err(error), "{path}");
        }
    }
}
