//! What a score means, and what speaks for it.

use super::lexicon::Lexicon;

/// Evidence by the classes that are in one window, the strongest first: all of the first, one of the second.
const RULES: &[(&str, &[&str], &[&str])] = &[
    ("fake_delimiter", &["marker"], &["system", "instr", "model", "override", "reveal"]),
    ("instruction_override", &["override", "instr"], &[]),
    ("instruction_override", &["override", "prior"], &[]),
    ("prompt_extraction", &["reveal", "instr"], &["prior", "system", "model", "secret"]),
    ("secret_extraction", &["secret"], &["reveal", "system", "authority", "query", "override"]),
    ("jailbreak_persona", &["free"], &["persona", "model", "limits"]),
    ("jailbreak_persona", &["persona", "limits"], &[]),
    ("refusal_suppression", &["refusal"], &["always", "override", "limits", "free"]),
    ("harm_in_a_frame", &["fiction"], HARM),
    ("harm_in_a_frame", &["world"], HARM),
    ("harm_in_a_frame", &["persona"], HARM),
    ("false_authority", &["authority"], &["reveal", "override", "secret", "system"]),
    ("encoding_smuggling", &["encoding"], &["instr", "reveal", "override", "write"]),
];
const HARM: &[&str] = &["violence", "crime", "hate", "disinfo", "privacy", "sexual"];
/// Words and pairs that are in no class.
const WORDING: &str = "attack_wording";

/// A logistic curve at -8, -7, … 8, in 65,536ths.
const LOGISTIC: [i64; 17] = [
    22, 60, 162, 439, 1179, 3108, 7812, 17625, 32768, 47911, 57724, 62428, 64357, 65097, 65374,
    65476, 65514,
];
const MIDDLE: i64 = 8;
/// In 65,536ths, what the curve must be given to reach 0.9.
const REACHES_REFUSE: i64 = 148_700;

/// Names the evidence.
#[derive(Debug)]
pub(super) struct Evidence {
    /// The name, the classes that must be there and those of which one must, as bits.
    rules: Vec<(&'static str, u64, u64)>,
}

impl Evidence {
    pub(super) fn new(lexicon: &Lexicon) -> Self {
        let bits = |names: &[&str]| {
            names.iter().fold(0, |bits, name| {
                bits | 1_u64.checked_shl(u32::from(lexicon.class(name))).unwrap_or(0)
            })
        };
        let rules = RULES.iter().map(|(name, all, one)| (*name, bits(all), bits(one))).collect();
        Self { rules }
    }

    /// The strongest evidence among these classes.
    pub(super) fn rule(&self, classes: u64) -> &'static str {
        let holds = |all: u64, one: u64| classes & all == all && (one == 0 || classes & one != 0);
        let rule = self.rules.iter().find(|(_, all, one)| holds(*all, *one));
        rule.map_or(WORDING, |(name, _, _)| *name)
    }
}

/// A score on the logistic scale that has the first threshold at a half and the second at nine tenths. Exact:
/// whole 65,536ths, which are f32 numbers.
pub(super) fn probability(score: i32, flag: i32, refuse: i32) -> f32 {
    let span = i64::from(refuse).saturating_sub(i64::from(flag)).max(1);
    let above = i64::from(score).saturating_sub(i64::from(flag));
    // Up for positive numbers, so that the second threshold itself reaches nine tenths.
    let scaled = above.saturating_mul(REACHES_REFUSE).div_euclid(span);
    let shifted = scaled.saturating_add(MIDDLE << 16).clamp(0, (MIDDLE << 17) - 1);
    let place = usize::try_from(shifted >> 16).unwrap_or(0);
    let (Some(low), Some(high)) = (LOGISTIC.get(place), LOGISTIC.get(place.saturating_add(1)))
    else {
        return 0.0;
    };
    let part = (high - low).saturating_mul(shifted & 0xffff) >> 16;
    low.saturating_add(part) as f32 / 65_536.0
}
