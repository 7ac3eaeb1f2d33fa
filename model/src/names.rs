//! Names that say something by themselves. Every list is sorted.

/// Top-level domains that messages in the wild name without a scheme. Sorted.
pub(crate) const TOP_LEVELS: &[&str] = &[
    "academy", "ae", "africa", "app", "asia", "at", "au", "bank", "be", "best", "bid", "biz", "br",
    "buzz", "ca", "cam", "cards", "cash", "cc", "center", "cf", "cfd", "ch", "cl", "click",
    "cloud", "club", "cn", "co", "com", "coupons", "cyou", "cz", "date", "de", "delivery", "dev",
    "digital", "direct", "dk", "download", "edu", "email", "es", "eu", "exchange", "fi", "finance",
    "fit", "fr", "fun", "ga", "gd", "gg", "gl", "global", "gov", "gq", "gr", "group", "help", "hk",
    "host", "hu", "icu", "id", "ie", "il", "in", "info", "io", "ir", "is", "it", "jp", "ke", "kr",
    "lat", "life", "link", "live", "loan", "lol", "ltd", "ly", "me", "men", "mil", "ml", "mobi",
    "monster", "mx", "my", "net", "network", "news", "ng", "nl", "no", "nz", "one", "online",
    "org", "page", "party", "ph", "pk", "pl", "pro", "pt", "pw", "qa", "quest", "review", "ro",
    "rocks", "ru", "sa", "sbs", "se", "services", "sg", "sh", "shop", "site", "sk", "space",
    "store", "stream", "su", "support", "systems", "tech", "th", "tk", "to", "today", "tokyo",
    "top", "tr", "trade", "tv", "tw", "ua", "ug", "uk", "us", "vip", "vn", "wang", "website",
    "win", "work", "works", "world", "ws", "wtf", "xin", "xyz", "za", "zone",
];

/// Codes and names of currencies, in lower case.
pub(crate) const CURRENCIES: &[&str] = &[
    "aed", "aud", "bitcoin", "brl", "btc", "cad", "chf", "cny", "crore", "dkk", "dollars", "eth",
    "eur", "euro", "euros", "gbp", "ghs", "hkd", "idr", "inr", "jpy", "kes", "krw", "ksh", "lakh",
    "lakhs", "mxn", "myr", "ngn", "nok", "nzd", "php", "pln", "pounds", "rm", "rmb", "rp", "rs",
    "rupees", "sar", "sek", "sgd", "thb", "try", "tsh", "tzs", "ugx", "usd", "usdc", "usdt", "vnd",
    "zar",
];

/// Hosts whose links say nothing of where they lead.
pub(crate) const SHORTENERS: &[&str] = &[
    "bit.ly",
    "bl.ink",
    "buff.ly",
    "clck.ru",
    "cutt.ly",
    "goo.gl",
    "is.gd",
    "lnkd.in",
    "ow.ly",
    "qr.ae",
    "rb.gy",
    "rebrand.ly",
    "s.id",
    "short.gy",
    "shorte.st",
    "shorturl.at",
    "soo.gd",
    "t.co",
    "t.ly",
    "tiny.cc",
    "tiny.one",
    "tinyurl.com",
    "u.to",
    "urlz.fr",
    "v.gd",
    "wa.me",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted() {
        for list in [TOP_LEVELS, CURRENCIES, SHORTENERS] {
            assert!(list.is_sorted());
        }
    }
}
