//! Reads what a point of a profile file says about all other values.
//!
//! ```toml
//! [point.others]                        # all other numbers and booleans are fields as well; each key here is optional
//! flatten = "_"                         # so are those in objects and lists, under their names joined by this
//! tags = ["id", "pump_*"]               # patterns; values under such names are tags
//! fields = ["*_g", "rms"]               # patterns; only such names are fields
//! booleans = []                         # patterns; booleans under such names are fields, others are value faults
//! strings = ["note"]                    # patterns; texts under such names are fields, others are value faults
//! except = ["debug*"]                   # patterns; such names are no fields
//! topic = "{line}/{1}"                  # {1} is the name
//! retain = true
//! ```

use crate::metric_file::topic;
use crate::others::OthersRule;
use crate::path::Path;
use crate::pattern::Pattern;
use crate::point_file::Addresses;
use crate::rules::{Address, Field, FieldName, ValueType};
use crate::toml_table::{Faults, Table};

/// What the point has beside its other values.
pub(crate) struct Beside<'a> {
    pub(crate) point: u32,
    /// Paths at which the profile looks outside of points.
    pub(crate) reserved: &'a [Path],
    pub(crate) own_tags: Vec<String>,
}

/// The keys that the field of all others leaves out, or what else is said about it.
#[derive(Default)]
pub(crate) struct Others {
    pub(crate) except: Vec<String>,
    pub(crate) rule: Option<OthersRule>,
}

/// Read `others`, which adds a field.
pub(crate) fn read_others(
    table: &mut Table<'_>,
    beside: Beside<'_>,
    addresses: &mut Addresses<'_>,
    fields: &mut Vec<Field>,
    faults: &mut Faults<'_>,
) -> Others {
    let Some(mut others) = table.table("others", faults) else {
        return Others::default();
    };
    let except = others.texts("except", faults);
    let separator = others.string("flatten", faults);
    let mut patterns = |key: &str, faults: &mut Faults<'_>| {
        let texts = others.texts(key, faults);
        let is_there = others.at(key).is_some();
        is_there.then(|| texts.iter().map(|text| Pattern::new(text)).collect())
    };
    let rule = OthersRule {
        separator,
        tags: patterns("tags", faults).unwrap_or_default(),
        fields: patterns("fields", faults),
        booleans: patterns("booleans", faults),
        strings: patterns("strings", faults),
        except: except.iter().map(|text| Pattern::new(text)).collect(),
        taken: Vec::new(),
        own_tags: beside.own_tags,
    };
    let topic = topic(&mut others, 1, faults);
    let retain = others.boolean("retain", faults).unwrap_or(false);
    others.refuse_others(faults);
    let topic = topic.map(|topic| topic.compile(|path| addresses.of_hole(&path)));
    let own: Vec<String> = fields
        .iter()
        .filter(|field| field.point == beside.point)
        .filter_map(|field| match &field.name {
            FieldName::Fixed(name) => Some(name.clone()),
            FieldName::Key => None,
        })
        .collect();
    let says_more = ["flatten", "tags", "fields", "booleans", "strings"];
    let is_more = says_more.iter().any(|key| others.at(key).is_some())
        || except.iter().any(|text| Pattern::is_wild(text));
    let found = if is_more {
        Others {
            except: Vec::new(),
            rule: Some(rule.beside(&own, addresses.paths(), beside.reserved)),
        }
    } else {
        let taken = addresses.paths().iter().chain(beside.reserved);
        let keys = taken.filter_map(Path::first_key);
        Others {
            except: except.into_iter().chain(keys).chain(own).collect(),
            rule: None,
        }
    };
    fields.push(Field {
        point: beside.point,
        name: FieldName::Key,
        address: if is_more {
            Address::Others
        } else {
            addresses.of(&Path::any())
        },
        wildcards: 1,
        value_type: ValueType::Measured,
        topic,
        retain,
        unless: Vec::new(),
    });
    found
}

impl OthersRule {
    /// The same rule beside fields of these names, and what paths lead to.
    fn beside(mut self, fields: &[String], paths: &[Path], reserved: &[Path]) -> Self {
        let separator = self.separator.clone();
        let names = paths.iter().chain(reserved).map(|path| {
            // Without a separator only first keys are names.
            let steps = match &separator {
                Some(_) => path.steps.as_slice(),
                None => path.steps.get(..1).unwrap_or_default(),
            };
            Pattern::of_path(steps, separator.as_deref().unwrap_or_default())
        });
        self.taken = names
            .chain(fields.iter().map(|name| Pattern::of_key(name)))
            .collect();
        self
    }
}
