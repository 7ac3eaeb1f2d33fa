//! The words and prefixes that announce something: those that do by themselves, and those that say what a number is.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError};

use super::bytes::{at, before, cut, is_word, long_words};
use super::heads::Heads;
use super::numbers::Numbers;
use super::{assignment, private_key, stack_trace, token, url};

/// What a word is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    Phone,
    Card,
    Identity,
    Ssn,
    Version,
    Wallet,
    /// Identity, where it is written in capitals.
    Capitals,
}

const PHONE: &str = "phone phones telephone tel tele mobile mobil cell cellphone fax call called calling dial \
    sms whatsapp message messages answering voicemail hotline pager office desk contact reach ring \
    landline extension gsm handy telefon telefone teléfono telefono telefonnummer cep rufnummer fon \
    mobilnummer téléphone téléphoner portable móvil celular cellulare chiamare llamar llame appeler \
    puhelin puh telefoon bel numer komórka телефон Телефон тел Тел звоните номер 电话 電話 手机 手機 \
    携帯 전화 휴대폰 هاتف फ़ोन โทร טלפון";

const CARD: &str = "card cards cc visa mastercard maestro amex debit credit pan ccn carte karte \
    kreditkarte kartennummer tarjeta carta cartão kort kaart карта карты 信用卡 卡号 カード";

const IDENTITY: &str = "id identity identification national citizen citizenship passport licence license \
    tax taxpayer nhs pesel aadhaar aadhar uidai nino insurance medicare ssn social security voter vote dni cpf cnpj \
    cuit insee bsn cpr pnr personnummer fødselsnummer hetu henkilötunnus steuer steuernummer \
    steueridentifikationsnummer identifikationsnummer ausweis personalausweis sozialversicherungsnummer codice \
    fiscale egn cnp oib isikukood kimlik tckn snils rrn nric itin npi burgerservicenummer \
    ИНН СНИЛС 身份证 身分證 マイナンバー 주민등록번호 บัตรประชาชน steuer-id steuerid idnr siret";

/// These are words of other meanings too (sin, without; nie, never), except in capitals.
const IDENTITY_IN_CAPITALS: &str =
    "TIN SIN NAS PAN NIE NIF RUT NIR TFN ABN ACN FIN INN SSN BRN FRN NIN TNIN NIC";

const SSN: &str = "ssn ssns social security itin taxpayer";
const VERSION: &str = "version versions v ver release section chapter clause oid build firmware";
const WALLET: &str = "wallet address btc bitcoin ethereum eth solana xmr monero ripple crypto";

/// A word about a topic that is further from a number than this is not near it; nor is one that begins so far behind it.
const MAXIMUM_NEAR: usize = 80;
/// The longest word, and more than may stand between a number's letters and its digits.
const MAXIMUM_LENGTH: usize = 72;
/// Fewer digits beside each other are nothing that a word would make a number of.
const FEWEST_DIGITS: usize = 7;
/// Unless there are so many groups of them (an address), or so many digits with letters among them (an identity card).
const FEWEST_GROUPS: usize = 4;
const FEWEST_DIGITS_WITH_LETTERS: usize = 4;

/// How long a word is that another one may make a wallet's; or one letter longer.
const LONG_WORD: usize = 43;

/// What a sighting is of.
#[derive(Debug, Clone, Copy)]
enum Sign {
    /// A row of [`token::TOKENS`].
    Token(usize),
    /// A name of [`assignment::NAMES`].
    Name(usize),
    /// A name of [`url::PARAMETERS`].
    Parameter,
    Mark(usize),
    Trace,
}

/// The compiled words.
#[derive(Debug, Clone)]
pub(super) struct Words(Arc<Tables>);

#[derive(Debug)]
struct Tables {
    /// What announces something by itself.
    heads: Heads,
    signs: Vec<Sign>,
    /// What says something of the numbers near it, and is looked for nowhere else.
    automaton: AhoCorasick,
    topics: Vec<Topic>,
}

impl Words {
    /// The tables are the same for all policies, routes and kinds: made once.
    pub(super) fn shared() -> Result<Self, BuildError> {
        static WORDS: OnceLock<Words> = OnceLock::new();
        match WORDS.get() {
            Some(words) => Ok(words.clone()),
            None => Self::compile().map(|words| WORDS.get_or_init(|| words).clone()),
        }
    }

    fn compile() -> Result<Self, BuildError> {
        let tokens = token::TOKENS.iter().enumerate().map(|(i, row)| (row.prefix, Sign::Token(i)));
        let names = assignment::NAMES.iter().enumerate().map(|(i, row)| (row.0, Sign::Name(i)));
        let parameters = url::PARAMETERS.iter().map(|name| (*name, Sign::Parameter));
        let marks = private_key::MARKS.iter().enumerate().map(|(i, mark)| (*mark, Sign::Mark(i)));
        let traces = stack_trace::MARKS.iter().map(|mark| (*mark, Sign::Trace));
        let all = tokens.chain(names).chain(parameters).chain(marks).chain(traces);
        let (heads, signs) = all.map(|(word, sign)| (word.as_bytes(), sign)).unzip();

        let topics = [
            (PHONE, Topic::Phone),
            (CARD, Topic::Card),
            (IDENTITY, Topic::Identity),
            (IDENTITY_IN_CAPITALS, Topic::Capitals),
            (SSN, Topic::Ssn),
            (VERSION, Topic::Version),
            (WALLET, Topic::Wallet),
        ];
        let topics = topics
            .into_iter()
            .flat_map(|(words, topic)| words.split_whitespace().map(move |word| (word, topic)));
        let (patterns, topics): (Vec<&str>, Vec<Topic>) = topics.unzip();
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::DFA))
            .build(patterns)?;
        Ok(Self(Arc::new(Tables { heads: Heads::new(heads), signs, automaton, topics })))
    }

    /// Everything that is announced in the text, and what stands near its numbers.
    pub(super) fn look(&self, text: &[u8], numbers: &Numbers) -> Sightings {
        let mut seen = Sightings::default();
        for (range, word) in self.0.heads.find(text) {
            match self.0.signs.get(word) {
                Some(Sign::Token(row)) => seen.tokens.push((*row, range)),
                Some(Sign::Name(row)) => seen.names.push((*row, range)),
                Some(Sign::Parameter) => seen.parameters.push(range),
                Some(Sign::Mark(row)) => seen.marks.push((*row, range)),
                Some(Sign::Trace) => seen.traces.push(range),
                None => {}
            }
        }
        let mut pending: Option<Range<usize>> = None;
        for place in places(text, numbers) {
            let near = place.start.saturating_sub(MAXIMUM_NEAR + MAXIMUM_LENGTH)
                ..place.end.saturating_add(MAXIMUM_NEAR + MAXIMUM_LENGTH).min(text.len());
            match &mut pending {
                // They touch, and a word may stand where they do.
                Some(last) if near.start <= last.end => last.end = last.end.max(near.end),
                _ => {
                    if let Some(last) = pending.replace(near) {
                        self.look_near(text, &last, &mut seen.topics);
                    }
                }
            }
        }
        if let Some(last) = pending {
            self.look_near(text, &last, &mut seen.topics);
        }
        seen
    }

    fn look_near(&self, text: &[u8], near: &Range<usize>, topics: &mut Vec<(Topic, u32, u32)>) {
        let part = cut(text, near.start, near.end);
        for found in self.0.automaton.find_overlapping_iter(part) {
            let range = near.start + found.start()..near.start + found.end();
            let topic = self.0.topics.get(found.pattern().as_usize());
            let Some(topic) = topic.filter(|_| stands_alone(text, &range)) else { continue };
            let is_lower = || cut(text, range.start, range.end).iter().any(u8::is_ascii_lowercase);
            let topic = match topic {
                Topic::Capitals if is_lower() => continue,
                Topic::Capitals => Topic::Identity,
                topic => *topic,
            };
            topics.push((topic, range.start as u32, range.end as u32));
        }
    }
}

/// Where something may stand that a word beside it would make a number, in order: digits beside each other, and words that
/// may be a wallet's.
fn places(text: &[u8], numbers: &Numbers) -> Vec<Range<usize>> {
    let mut places: Vec<Range<usize>> = Vec::new();
    let mut index = 0;
    while let Some(cluster) = numbers.cluster(text, index) {
        let is_long = cluster.digits >= FEWEST_DIGITS || cluster.groups >= FEWEST_GROUPS;
        if is_long || cluster.digits >= FEWEST_DIGITS_WITH_LETTERS && cluster.has_letters {
            places.push(cluster.range);
        }
        index += cluster.groups;
    }
    let digits = places.len();
    places.extend(long_words(text, LONG_WORD).filter(|word| word.len() <= LONG_WORD + 1));
    if places.len() > digits {
        places.sort_unstable_by_key(|place| place.start);
    }
    places
}

/// Whether a word is a word, and not part of one. Scripts without spaces have no such thing.
fn stands_alone(text: &[u8], range: &Range<usize>) -> bool {
    if at(text, range.start) >= 0xE0 {
        return true;
    }
    let is_letter = |byte: u8| is_word(byte) && !byte.is_ascii_digit();
    // In camelCase a word ends where a capital begins, and an `s` may follow: it is the same word.
    let next = at(text, range.end);
    let ends = !is_letter(next)
        || (next.is_ascii_uppercase() && before(text, range.end).is_ascii_lowercase());
    !is_letter(before(text, range.start)) && ends
}

/// What is announced in a text, in the order of its ends.
#[derive(Debug, Default)]
pub(super) struct Sightings {
    topics: Vec<(Topic, u32, u32)>,
    pub(super) tokens: Vec<(usize, Range<usize>)>,
    pub(super) names: Vec<(usize, Range<usize>)>,
    pub(super) parameters: Vec<Range<usize>>,
    pub(super) marks: Vec<(usize, Range<usize>)>,
    pub(super) traces: Vec<Range<usize>>,
}

impl Sightings {
    /// Whether a word about the topic stands near a range: it ends at most so many bytes before it, or begins
    /// at most so many after it.
    pub(super) fn is_near(
        &self,
        topic: Topic,
        range: &Range<usize>,
        before: usize,
        after: usize,
    ) -> bool {
        let from = range.start.saturating_sub(before);
        let first = self.topics.partition_point(|(_, _, end)| (*end as usize) < from);
        let last = range.end.saturating_add(after);
        // Words of one letter are the shortest: there are at most so many ends in the window.
        let window = self.topics.get(first..).unwrap_or_default().iter();
        window
            .take_while(|(_, start, _)| *start as usize <= last)
            .take(MAXIMUM_WORDS)
            .any(|(other, start, _)| *other == topic && *start as usize <= last)
    }
}

/// So many words are looked at around a number. A text that has more of them has been written to have them.
const MAXIMUM_WORDS: usize = 64;
