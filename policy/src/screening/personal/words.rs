//! The words and prefixes that announce something, found in one pass.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError};

use super::bytes::{at, before, is_word};
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

/// What a sighting is of.
#[derive(Debug, Clone, Copy)]
enum Sign {
    Topic(Topic),
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
pub(super) struct Words {
    automaton: AhoCorasick,
    signs: Arc<[Sign]>,
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
        let topics = [
            (PHONE, Topic::Phone),
            (CARD, Topic::Card),
            (IDENTITY, Topic::Identity),
            (IDENTITY_IN_CAPITALS, Topic::Capitals),
            (SSN, Topic::Ssn),
            (VERSION, Topic::Version),
            (WALLET, Topic::Wallet),
        ];
        let topics = topics.into_iter().flat_map(|(words, topic)| {
            words.split_whitespace().map(move |word| (word, Sign::Topic(topic)))
        });
        let tokens = token::TOKENS.iter().enumerate().map(|(i, row)| (row.prefix, Sign::Token(i)));
        let names = assignment::NAMES.iter().enumerate().map(|(i, row)| (row.0, Sign::Name(i)));
        let parameters = url::PARAMETERS.iter().map(|name| (*name, Sign::Parameter));
        let marks = private_key::MARKS.iter().enumerate().map(|(i, mark)| (*mark, Sign::Mark(i)));
        let traces = stack_trace::MARKS.iter().map(|mark| (*mark, Sign::Trace));
        let all = topics.chain(tokens).chain(names).chain(parameters).chain(marks).chain(traces);
        let (patterns, signs): (Vec<&str>, Vec<Sign>) = all.unzip();
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::DFA))
            .build(patterns)?;
        Ok(Self { automaton, signs: signs.into() })
    }

    /// Everything that is announced in the text.
    pub(super) fn look(&self, text: &[u8]) -> Sightings {
        let mut seen = Sightings::default();
        for found in self.automaton.find_overlapping_iter(text) {
            let range = found.range();
            match self.signs.get(found.pattern().as_usize()) {
                Some(Sign::Topic(topic)) if stands_alone(text, &range) => {
                    let is_lower = text
                        .get(range.clone())
                        .is_some_and(|word| word.iter().any(u8::is_ascii_lowercase));
                    let topic = match topic {
                        Topic::Capitals if is_lower => continue,
                        Topic::Capitals => Topic::Identity,
                        topic => *topic,
                    };
                    seen.topics.push((topic, range.start as u32, range.end as u32));
                }
                Some(Sign::Token(row)) => seen.tokens.push((*row, range)),
                Some(Sign::Name(row)) => seen.names.push((*row, range)),
                Some(Sign::Parameter) => seen.parameters.push(range),
                Some(Sign::Mark(row)) => seen.marks.push((*row, range)),
                Some(Sign::Trace) => seen.traces.push(range),
                _ => {}
            }
        }
        seen
    }
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
