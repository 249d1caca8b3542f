//! Reads the rule of a profile file's point for all other values.
//!
//! ```toml
//! [point.others]                        # all other numbers and booleans are fields as well; each key here is optional. Several are [[point.others]]
//! flatten = "_"                         # so are those in objects and lists, under their names joined by this
//! tags = ["id", "pump_*"]               # patterns; values under such names are tags
//! fields = ["*_g", "rms"]               # patterns; only such names are fields
//! booleans = []                         # patterns; booleans under such names are fields, others are value faults
//! strings = ["note"]                    # patterns; texts under such names are fields, others are value faults
//! except = ["debug*"]                   # patterns; such names are no fields
//! integers = ["count"]                  # patterns; numbers under such names are integers
//! within = "data"                       # they stand in the object at this path; in the document, or item, by default
//! value = "{type}"                      # the value of this name is the field `value`; without it, one called `value` is, or the document itself where it is one value
//! tag_objects = ["metadata"]            # paths of objects whose values are tags
//! topic = "{line}/{1}"                  # {1} is the name; of the field `value`, what `value` says
//! retain = true
//! ```

use crate::addresses::Addresses;
use crate::path::{Path, PathStep};
use crate::path_keys::{plain_path, plain_paths, template};
use crate::pattern::Pattern;
use crate::rules::{Address, Field, FieldName, OthersRule, ValueType};
use crate::shared_keys::topic;
use crate::template::Template;
use crate::toml_table::{Faults, Table};

/// The parts of a point beside its other values.
pub(crate) struct Beside<'a> {
    pub(crate) point: u32,
    /// Paths at which the profile looks outside of points.
    pub(crate) reserved: &'a [Path],
    pub(crate) own_tags: Vec<String>,
}

/// The keys that the field of all other values leaves out, or the further rules about such fields.
#[derive(Default)]
pub(crate) struct Others {
    pub(crate) except: Vec<String>,
    pub(crate) rules: Vec<OthersRule>,
}

/// The name of the field that `value` gives.
const VALUE: &str = "value";
/// The keys that have further rules, beyond the names that are left out and the topics of the fields.
const SAYS_MORE: [&str; 9] = [
    "flatten",
    "tags",
    "fields",
    "booleans",
    "strings",
    "integers",
    "within",
    "value",
    "tag_objects",
];

/// Read `others`, which adds fields.
pub(crate) fn read_others(
    table: &mut Table<'_>,
    beside: &Beside<'_>,
    addresses: &mut Addresses<'_>,
    fields: &mut Vec<Field>,
    faults: &mut Faults<'_>,
) -> Others {
    let mut tables = table.table_or_tables("others", faults);
    let own: Vec<String> = fields
        .iter()
        .filter(|field| field.point == beside.point)
        .filter_map(|field| match &field.name {
            FieldName::Fixed(name) => Some(name.clone()),
            FieldName::Key => None,
        })
        .collect();
    let is_more = |table: &Table<'_>| SAYS_MORE.iter().any(|key| table.at(key).is_some());
    let (several, mut read) = (tables.len() > 1, Vec::new());
    for table in &mut tables {
        let except = table.texts("except", faults);
        let is_more = several || is_more(table) || except.iter().any(|text| Pattern::is_wild(text));
        if is_more {
            read.push(read_one(table, &except, beside, addresses, fields, faults));
        } else {
            let (topic, retain) = published(table, addresses, faults);
            let address = addresses.of(&Path::any());
            fields.push(field(beside.point, FieldName::Key, address, topic, retain));
            let taken = addresses.paths().iter().chain(beside.reserved);
            let keys = taken.filter_map(Path::first_key);
            return Others {
                except: except.into_iter().chain(keys).chain(own).collect(),
                rules: Vec::new(),
            };
        }
    }
    let objects: Vec<Path> = read
        .iter()
        .flat_map(|one| one.objects.iter().chain(&one.within))
        .filter(|path| !path.steps.is_empty())
        .cloned()
        .collect();
    let rules = read.into_iter().map(|one| {
        let paths = addresses.paths().iter().chain(beside.reserved);
        one.taking(&own, paths, &objects)
    });
    Others {
        except: Vec::new(),
        rules: rules.collect(),
    }
}

/// A rule, and the paths in it.
struct One {
    rule: OthersRule,
    within: Option<Path>,
    objects: Vec<Path>,
}

/// Where the fields of a table are published.
fn published(
    table: &mut Table<'_>,
    addresses: &mut Addresses<'_>,
    faults: &mut Faults<'_>,
) -> (Option<Template<Address>>, bool) {
    let topic = topic(table, 1, faults);
    let retain = table.boolean("retain", faults).unwrap_or(false);
    table.refuse_others(faults);
    let topic = topic.map(|topic| topic.compile(|path| addresses.of_hole(&path)));
    (topic, retain)
}

fn field(
    point: u32,
    name: FieldName,
    address: Address,
    topic: Option<Template<Address>>,
    retain: bool,
) -> Field {
    Field {
        point,
        name,
        address,
        wildcards: 1,
        value_type: ValueType::Measured,
        topic,
        retain,
        unless: Vec::new(),
    }
}

fn read_one(
    table: &mut Table<'_>,
    except: &[String],
    beside: &Beside<'_>,
    addresses: &mut Addresses<'_>,
    fields: &mut Vec<Field>,
    faults: &mut Faults<'_>,
) -> One {
    let separator = table.string("flatten", faults);
    let mut patterns = |key: &str, faults: &mut Faults<'_>| {
        let texts = table.texts(key, faults);
        let is_there = table.at(key).is_some();
        is_there.then(|| texts.iter().map(|text| Pattern::new(text)).collect())
    };
    let tags = patterns("tags", faults).unwrap_or_default();
    let chosen = patterns("fields", faults);
    let booleans = patterns("booleans", faults);
    let strings = patterns("strings", faults);
    let integers = patterns("integers", faults).unwrap_or_default();
    let within = plain_path(table, "within", faults);
    let objects = plain_paths(table, "tag_objects", faults);
    let value = table.string(VALUE, faults).and_then(|text| {
        let value = template(table, VALUE, &text, 0, faults)?;
        Some(value.compile(|path| addresses.of_hole(&path)))
    });
    let (topic, retain) = published(table, addresses, faults);
    let number = fields.len() as u32;
    let address = Address::Others;
    fields.push(field(
        beside.point,
        FieldName::Key,
        address,
        topic.clone(),
        retain,
    ));
    let value = value.map(|value| {
        let name = FieldName::Fixed(VALUE.to_owned());
        fields.push(field(beside.point, name, address, topic, retain));
        (value, number + 1)
    });
    let bare = (value.is_some() && within.is_none()).then(Path::whole);
    let rule = OthersRule {
        field: number,
        within: within.as_ref().map(|path| addresses.of(path)),
        bare: bare.map(|path| addresses.of(&path)),
        path: within.as_ref().map(Path::to_string).unwrap_or_default(),
        value,
        tag_objects: objects
            .iter()
            .map(|path| (addresses.of(path), path.to_string()))
            .collect(),
        integers,
        separator,
        tags,
        fields: chosen,
        booleans,
        strings,
        except: except.iter().map(|text| Pattern::new(text)).collect(),
        taken: Vec::new(),
        own_tags: beside.own_tags.clone(),
    };
    One {
        rule,
        within,
        objects,
    }
}

impl One {
    /// The rule, beside fields with these names, values that paths name, and objects that are used in another way.
    fn taking<'p>(
        self,
        fields: &[String],
        paths: impl Iterator<Item = &'p Path>,
        objects: &[Path],
    ) -> OthersRule {
        let mut rule = self.rule;
        let separator = rule.separator.clone();
        let base = self.within.as_ref().map_or(&[][..], |path| &path.steps);
        let inside = |path: &Path| {
            let steps = path.steps.strip_prefix(base)?;
            (!steps.is_empty()).then(|| steps.to_vec())
        };
        let joined = separator.as_deref().unwrap_or_default();
        let names = paths.filter_map(inside).map(|steps| {
            // Without a separator only first keys are names.
            let steps = match &separator {
                Some(_) => steps.as_slice(),
                None => steps.get(..1).unwrap_or_default(),
            };
            Pattern::of_path(steps, joined)
        });
        let below = objects.iter().filter(|_| separator.is_some());
        let below = below.filter_map(inside).map(|mut steps| {
            steps.push(PathStep::Any);
            Pattern::of_path(&steps, joined)
        });
        rule.taken = names
            .chain(below)
            .chain(fields.iter().map(|name| Pattern::of_key(name)))
            .collect();
        rule
    }
}
