//! What words are known for.

/// What a word is known for, a bit each.
pub(in super::super) type Marks = u64;

// SQL.
pub(in super::super) const LOGIC: Marks = 1;
pub(in super::super) const COMPARE: Marks = 1 << 1;
pub(in super::super) const UNION: Marks = 1 << 2;
pub(in super::super) const SELECT: Marks = 1 << 3;
pub(in super::super) const STATEMENT: Marks = 1 << 4;
pub(in super::super) const CLAUSE: Marks = 1 << 5;
/// Functions with names that are nothing else.
pub(in super::super) const FUNCTION: Marks = 1 << 6;
/// Functions with names that are words as well.
pub(in super::super) const PLAIN_FUNCTION: Marks = 1 << 7;
/// Tables and procedures of the system.
pub(in super::super) const SYSTEM_NAME: Marks = 1 << 8;
pub(in super::super) const CONSTANT: Marks = 1 << 9;
pub(in super::super) const OBJECT: Marks = 1 << 10;
// Commands.
/// Names of programs that are hardly words.
pub(in super::super) const COMMAND: Marks = 1 << 11;
/// Names of programs that are words as well.
pub(in super::super) const PLAIN_COMMAND: Marks = 1 << 12;
// Scripts.
pub(in super::super) const TAG: Marks = 1 << 13;
pub(in super::super) const SCRIPT_SCHEME: Marks = 1 << 14;
pub(in super::super) const SCRIPT_FUNCTION: Marks = 1 << 15;
pub(in super::super) const SCRIPT_OBJECT: Marks = 1 << 16;
pub(in super::super) const CODE_FUNCTION: Marks = 1 << 17;
pub(in super::super) const CODE_NAME: Marks = 1 << 18;
// Files and addresses.
pub(in super::super) const SECRET_FILE: Marks = 1 << 19;
pub(in super::super) const FOLDER: Marks = 1 << 20;
pub(in super::super) const FILE_SCHEME: Marks = 1 << 21;
pub(in super::super) const FORGED_SCHEME: Marks = 1 << 22;
pub(in super::super) const WEB_SCHEME: Marks = 1 << 23;
pub(in super::super) const LOCAL_HOST: Marks = 1 << 24;
// The rest.
pub(in super::super) const TEMPLATE: Marks = 1 << 25;
pub(in super::super) const TEMPLATE_OBJECT: Marks = 1 << 26;
pub(in super::super) const LOOKUP: Marks = 1 << 27;
pub(in super::super) const MONGO: Marks = 1 << 28;
pub(in super::super) const AXIS: Marks = 1 << 29;
pub(in super::super) const HEADER: Marks = 1 << 30;
pub(in super::super) const DIRECTIVE: Marks = 1 << 31;
pub(in super::super) const EXTENSION: Marks = 1 << 32;
pub(in super::super) const CLASS_PATH: Marks = 1 << 33;
pub(in super::super) const ATTRIBUTE: Marks = 1 << 34;
pub(in super::super) const NEGATION: Marks = 1 << 35;
/// An event of HTML, `onload`, found by its beginning.
pub(in super::super) const EVENT: Marks = 1 << 36;
/// The beginning of something encoded: a path in Base64, a serialised object.
pub(in super::super) const ENCODED: Marks = 1 << 37;

/// What the rules for SQL look at.
pub(in super::super) const ANY_SQL: Marks =
    LOGIC | COMPARE | UNION | SELECT | STATEMENT | CLAUSE | FUNCTION | PLAIN_FUNCTION | SYSTEM_NAME;
/// What the rules for scripts look at.
pub(in super::super) const ANY_SCRIPT: Marks = SCRIPT_SCHEME | SCRIPT_FUNCTION | SCRIPT_OBJECT;
/// What the rules for code look at.
pub(in super::super) const ANY_CODE: Marks = CODE_FUNCTION | CODE_NAME | CLASS_PATH | ENCODED;
