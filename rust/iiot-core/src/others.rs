//! The rule for all other values of a point: which of them are tags, which are fields, and which are left out.

use crate::conclude::usable;
use crate::faults::path;
use crate::flatten::Named;
use crate::found::{Capture, Context, FieldRef, FoundTag, PointRef, Value};
use crate::json::Kind;
use crate::pattern::{Pattern, any_matches};
use crate::render::{compare_escaped, is_plain};
use crate::rules::{PointRule, Rules, ValueType};
use crate::scan::{MAX_WILDCARD_POINTS, Scan, ValueFault, ValueFaultReason};

/// What a profile says about the other values of a point, where that is more than which keys it leaves out.
#[derive(Clone, Debug, Default)]
pub(crate) struct OthersRule {
    /// Values of objects and lists are others as well, their names joined by this.
    pub(crate) separator: Option<String>,
    /// Names of values that are tags.
    pub(crate) tags: Vec<Pattern>,
    /// Names of values that may be fields; none: all.
    pub(crate) fields: Option<Vec<Pattern>>,
    /// Names of booleans that are fields; none: all.
    pub(crate) booleans: Option<Vec<Pattern>>,
    /// Names of texts that are fields; none: a text is passed over.
    pub(crate) strings: Option<Vec<Pattern>>,
    /// Names that are left out.
    pub(crate) except: Vec<Pattern>,
    /// Names of what the point or the profile looks at by a path: no other values.
    pub(crate) taken: Vec<Pattern>,
    /// The keys of the point's own tags.
    pub(crate) own_tags: Vec<String>,
}

/// What becomes of a value.
enum Use {
    Tag,
    Field(ValueType),
    /// Neither, because no list names a value of its type.
    Unnamed,
    Nothing,
}

impl OthersRule {
    /// Whether some values are tags.
    pub(crate) fn has_tags(&self) -> bool {
        !self.tags.is_empty()
    }

    fn of(&self, name: &[u8], kind: Kind) -> Use {
        if any_matches(&self.taken, name) {
            return Use::Nothing;
        }
        if any_matches(&self.tags, name) && !name.is_empty() {
            return Use::Tag;
        }
        let is_chosen = |list: &Option<Vec<Pattern>>| {
            let Some(patterns) = list else { return true };
            any_matches(patterns, name)
        };
        if any_matches(&self.except, name) || !is_chosen(&self.fields) {
            return Use::Nothing;
        }
        match kind {
            Kind::Bool if !is_chosen(&self.booleans) => Use::Unnamed,
            Kind::String | Kind::EscapedString => match &self.strings {
                None => Use::Nothing,
                Some(patterns) if any_matches(patterns, name) => Use::Field(ValueType::String),
                Some(_) => Use::Unnamed,
            },
            _ => Use::Field(ValueType::Measured),
        }
    }
}

/// Add the other values of a part of the document to a point: fields, and tags.
pub(crate) fn add(
    rules: &Rules,
    rule: &PointRule,
    others: &OthersRule,
    (field, table): (u32, u32),
    document: &[u8],
    part: Value,
    scan: &mut Scan,
) {
    let mut walk = std::mem::take(&mut scan.walk);
    let separator = others.separator.as_deref();
    walk.through(document, part, separator, &mut scan.joined);
    let first_tag = scan.tags.len();
    for named in walk
        .values
        .iter()
        .filter(|named| named.value.kind != Kind::Missing)
    {
        let Named { start, end, value } = *named;
        let name = scan.joined.get(start as usize..end as usize);
        let reason = match others.of(name.unwrap_or_default(), value.kind) {
            Use::Nothing => continue,
            Use::Tag => {
                if value.start < value.end {
                    let is_plain = is_plain(name.unwrap_or_default());
                    scan.tags.push(FoundTag {
                        start,
                        end,
                        value,
                        is_plain,
                        is_of_device: false,
                    });
                }
                continue;
            }
            Use::Field(value_type) => match usable(value, value_type, document) {
                Ok(true) => {
                    let captures = scan.captures.len() as u32;
                    scan.captures.push(Capture::Joined { start, end });
                    scan.fields.push(FieldRef {
                        field,
                        context: Context { captures, table },
                        value,
                    });
                    continue;
                }
                Ok(false) => continue,
                Err(reason) => reason,
            },
            Use::Unnamed => ValueFaultReason::NotNamed,
        };
        fault(rules, rule, (start, end), value, reason, scan);
    }
    if let Some(value) = walk.left_out {
        crate::conclude::too_many(value, scan);
    }
    scan.walk = walk;
    sort_tags(others, first_tag, scan);
}

/// Bring the tags of a point into the order of lines. Of equal keys, as lines write them, the last one counts; those of the profile hide them.
fn sort_tags(others: &OthersRule, first: usize, scan: &mut Scan) {
    let Scan { joined, tags, .. } = scan;
    let name = |tag: &FoundTag| {
        joined
            .get(tag.start as usize..tag.end as usize)
            .unwrap_or_default()
    };
    let compare = |left: &FoundTag, right: &FoundTag| {
        if left.is_plain && right.is_plain {
            return name(left).cmp(name(right));
        }
        compare_escaped(name(left), name(right))
    };
    if let Some(own) = tags.get_mut(first..) {
        own.sort_by(compare);
    }
    let mut kept = first;
    for at in first..tags.len() {
        let Some(tag) = tags.get(at).copied() else {
            return;
        };
        let mut own_keys = others.own_tags.iter();
        if own_keys.any(|key| compare_escaped(key.as_bytes(), name(&tag)).is_eq()) {
            continue;
        }
        let last = kept.checked_sub(1).filter(|last| *last >= first);
        let is_again = last
            .and_then(|last| tags.get(last))
            .is_some_and(|last| compare(last, &tag).is_eq());
        let place = if is_again { kept - 1 } else { kept };
        if let Some(held) = tags.get_mut(place) {
            *held = tag;
        }
        kept = place + 1;
    }
    tags.truncate(kept);
}

#[cold]
fn fault(
    rules: &Rules,
    rule: &PointRule,
    (start, end): (u32, u32),
    value: Value,
    reason: ValueFaultReason,
    scan: &mut Scan,
) {
    if scan.value_faults.len() >= MAX_WILDCARD_POINTS {
        return;
    }
    let name = scan.joined.get(start as usize..end as usize);
    let name = String::from_utf8_lossy(name.unwrap_or_default());
    let each = rules.scopes.get(rule.scope).and_then(|scope| scope.each);
    let path = match each.and_then(|each| path(rules, 0, each)) {
        Some(each) => format!("{each}.{name}"),
        None => name.into_owned(),
    };
    scan.value_faults.push(ValueFault {
        path,
        reason,
        start: value.start as usize,
        end: value.end as usize,
    });
}

impl Scan {
    /// The tags that the document and its device gave a point.
    pub(crate) fn tags_of(&self, point: &PointRef) -> &[FoundTag] {
        self.tags
            .get(point.first_tag as usize..point.end_tag as usize)
            .unwrap_or_default()
    }

    /// The key of such a tag.
    pub(crate) fn tag_key(&self, tag: &FoundTag) -> &[u8] {
        self.joined
            .get(tag.start as usize..tag.end as usize)
            .unwrap_or_default()
    }
}
