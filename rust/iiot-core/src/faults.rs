//! Values that the profile wants but cannot use, with a path by which a person finds them in the document.

use crate::bounds::MAX_WILDCARD_POINTS;
use crate::found::{Capture, Value};
use crate::rules::Rules;
use crate::scan::{Scan, ValueFault, ValueFaultReason};
use crate::trie::Slot;

/// A value that cannot be used.
pub(crate) struct Refused {
    pub(crate) scope: usize,
    pub(crate) slot: Slot,
    /// Where the captures of its path begin; captures of the item's path come before those of the path
    /// inside the item.
    pub(crate) captures: Option<u32>,
    pub(crate) value: Value,
    pub(crate) reason: ValueFaultReason,
}

impl Refused {
    /// Add it to the faults of a scan.
    #[cold]
    pub(crate) fn add(self, rules: &Rules, document: &[u8], scan: &mut Scan) {
        self.note(rules, document, &scan.captures, &mut scan.value_faults);
    }

    /// Add it to `faults`.
    #[cold]
    pub(crate) fn note(
        self,
        rules: &Rules,
        document: &[u8],
        captures: &[Capture],
        faults: &mut Vec<ValueFault>,
    ) {
        if faults.len() >= MAX_WILDCARD_POINTS {
            return;
        }
        let Some(mut path) = path(rules, self.scope, self.slot) else {
            return;
        };
        let first = self.captures.map_or(usize::MAX, |first| first as usize);
        let mut captures = captures.get(first..).unwrap_or_default().iter();
        while path.contains('*')
            && let Some(capture) = captures.next()
        {
            let mut text = Vec::new();
            capture.push(document, &mut text);
            // The inserted text may contain an asterisk itself.
            let text = String::from_utf8_lossy(&text).replace('*', "\u{2217}");
            path = path.replacen('*', &text, 1);
        }
        faults.push(ValueFault {
            path: path.replace('\u{2217}', "*"),
            reason: self.reason,
            start: self.value.start as usize,
            end: self.value.end as usize,
        });
    }
}

/// Note that the document has more values than may be kept; `value` is the first one that is left out.
pub(crate) fn too_many(value: Value, scan: &mut Scan) {
    let (start, end) = (value.start as usize, value.end as usize);
    scan.value_faults.push(ValueFault {
        path: "*".to_owned(),
        reason: ValueFaultReason::TooMany,
        start,
        end,
    });
}

/// Add a value with this path to the faults of a scan.
#[cold]
pub(crate) fn tell(path: String, value: Value, reason: ValueFaultReason, scan: &mut Scan) {
    if scan.value_faults.len() < MAX_WILDCARD_POINTS {
        scan.value_faults.push(ValueFault {
            path,
            reason,
            start: value.start as usize,
            end: value.end as usize,
        });
    }
}

/// A path as the profile writes it, after the path of its items.
pub(crate) fn path(rules: &Rules, scope: usize, slot: Slot) -> Option<String> {
    let scope = rules.scopes.get(scope)?;
    let own = scope.trie.wanted.get(slot as usize)?.path.to_string();
    let Some(each) = scope.each else {
        return Some(own);
    };
    let each = &rules.trie().wanted.get(each as usize)?.path;
    Some(match own.as_str() {
        "." => each.to_string(),
        _ if own.starts_with('[') => format!("{each}{own}"),
        _ => format!("{each}.{own}"),
    })
}
