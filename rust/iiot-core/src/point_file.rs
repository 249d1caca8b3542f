//! Reads the `[[point]]` tables of a profile file.
//!
//! ```toml
//! [[point]]
//! filter = "plant/{line}/dosing"        # for documents that arrive under these topics; a text or a list; any topic by default
//! except_filter = "plant/+/dosing/raw"  # and not under these
//! each = "doses[*]"                     # a point for each item; without a wildcard, for the value there, or for each item of one that is an array;
//!                                       # by default one for the document, or for each item of one that is an array
//! measurement = "dosing"                # template
//! tags = { line = "{line}", pump = "{pump}" }
//! time = { path = "at", format = "auto" }   # as in [time]; without it, the document's time
//! others = { except = ["debug"], topic = "{line}/{1}", retain = true }   # all other numbers and booleans are fields as well; see `others_file.rs`
//!
//! [point.fields]                        # at least one, or `others`
//! target_g = "number"                   # the field's name, where its path is the same, and its type
//! duration_ms = "integer"
//! place = { level = "line", type = "string" }   # a named level of the topic; number, integer or string
//! actual_g = { path = "actual", type = "number", topic = "{line}/actual_g", retain = true, unless = ["dry_run"] }
//! ```
//!
//! In templates a named level of the filter comes before a key of the same name, `{#}` is the whole topic, and `{@key}` is a tag of the document's device,
//! which the level called `device` names. Paths of a point with `each` begin at the item; if the item has no value there, the path is looked up in the
//! document. The path `.` is the item, or the document, if that is a bare value.

use toml::de::DeValue;

use crate::addresses::Addresses;
use crate::filter::Filter;
use crate::others_file::{Beside, read_others};
use crate::path::Path;
use crate::path_keys::{path, plain_paths};
use crate::rules::{Address, Field, FieldName, PointRule, Rules, Scope, ValueType};
use crate::shared_keys::{common, topic, value_type};
use crate::time_file::read_time;
use crate::toml_table::{Faults, Table};

/// The named level that names the device of a document.
const DEVICE_LEVEL: &str = "device";
/// Read one point into `rules`. `names` is a buffer for the names of its levels; the values at the paths `reserved` are not other values.
pub(crate) fn read_point(
    table: &mut Table<'_>,
    rules: &mut Rules,
    names: &mut Vec<String>,
    reserved: &[Path],
    faults: &mut Faults,
) {
    names.clear();
    let filters = read_filters(table, names, faults);
    let except_filters = plain_filters(table, "except_filter", faults);
    let scope = read_scope(table, rules, faults);
    let number = rules.points.len() as u32;
    let first = rules.fields.len() as u32;
    let mut addresses = Addresses {
        scopes: &mut rules.scopes,
        scope,
        levels: names,
        first_level: rules.level_names.len() as u32,
        device_keys: &mut rules.device_keys,
        paths: Vec::new(),
        takes_bare_values: false,
    };
    let common = common(table, 0, &mut |path| addresses.of_hole(&path), faults);
    let time = table.table("time", faults).and_then(|mut time| {
        let rule = read_time(&mut time, faults);
        time.refuse_others(faults);
        rule.map(|(paths, format)| {
            let addresses = paths.iter().map(|path| addresses.of(path));
            (addresses.collect(), format)
        })
    });
    read_fields(table, number, &mut addresses, &mut rules.fields, faults);
    let tags = common.iter().flat_map(|(_, tags)| tags);
    let beside = Beside {
        point: number,
        reserved,
        own_tags: tags.map(|(key, _)| key.clone()).collect(),
    };
    let others = read_others(table, &beside, &mut addresses, &mut rules.fields, faults);
    if rules.fields.len() as u32 == first && table.at("fields").is_none() {
        faults.add(table.at(""), "point: `fields` or `others` is missing");
    }
    rules.takes_bare_values |= addresses.takes_bare_values;
    let Some((measurement, tags)) = common else {
        return;
    };
    rules.points.push(PointRule {
        measurement,
        tags,
        filters,
        except_filters,
        device_level: names.iter().position(|name| name == DEVICE_LEVEL),
        first_level: rules.level_names.len() as u32,
        fields: first..rules.fields.len() as u32,
        scope,
        time,
        except: others.except,
        others: others.rules,
        is_short: false,
    });
    rules.level_names.append(names);
}

/// The filters of a point. All of them have the same names, so that templates mean the same under each.
fn read_filters(
    table: &mut Table<'_>,
    names: &mut Vec<String>,
    faults: &mut Faults,
) -> Vec<Filter> {
    let mut filters = Vec::new();
    for text in table.list("filter", faults) {
        let mut own = Vec::new();
        let filter = Filter::parse(&text, &mut own).and_then(|_| {
            let known = names.len();
            let filter = Filter::parse(&text, names)?;
            if filters.is_empty() || (names.len() == known && own.len() == known) {
                return Ok(filter);
            }
            Err(format!(
                "`{text}`: all filters of a point must have the same names in braces"
            ))
        });
        match filter {
            Ok(filter) => filters.push(filter),
            Err(message) => faults.add(table.at("filter"), &format!("filter: {message}")),
        }
    }
    filters
}

/// Filters whose levels have no names.
pub(crate) fn plain_filters(
    table: &mut Table<'_>,
    key: &'static str,
    faults: &mut Faults,
) -> Vec<Filter> {
    let mut filters = Vec::new();
    for text in table.list(key, faults) {
        let mut names = Vec::new();
        match Filter::parse(&text, &mut names) {
            Ok(filter) if names.is_empty() => filters.push(filter),
            Ok(_) => faults.add(
                table.at(key),
                &format!("{key}: `{text}`: a level has no name here; write `+`"),
            ),
            Err(message) => faults.add(table.at(key), &format!("{key}: {message}")),
        }
    }
    filters
}

/// The scope of the point's items.
fn read_scope(table: &mut Table<'_>, rules: &mut Rules, faults: &mut Faults) -> usize {
    let Some(each) = path(table, "each", faults) else {
        return 0;
    };
    if each.steps.is_empty() {
        faults.add(
            table.at("each"),
            "each: `.` is the document, of which there is a point anyway",
        );
        return 0;
    }
    let Some(document) = rules.scopes.first_mut() else {
        return 0;
    };
    let slot = document.trie.want(&each);
    let known = rules
        .scopes
        .iter()
        .position(|scope| scope.each == Some(slot));
    known.unwrap_or_else(|| {
        rules.scopes.push(Scope {
            each: Some(slot),
            ..Scope::default()
        });
        rules.scopes.len() - 1
    })
}

fn read_fields(
    table: &mut Table<'_>,
    point: u32,
    addresses: &mut Addresses<'_>,
    fields: &mut Vec<Field>,
    faults: &mut Faults,
) {
    let Some(listed) = table.table("fields", faults) else {
        return;
    };
    for (name, at, value) in listed.in_order() {
        if name.is_empty() {
            faults.add(Some(at), "fields: a name is empty");
        }
        let mut field = Field {
            point,
            name: FieldName::Fixed(name.clone()),
            address: Address::Document(0),
            wildcards: 0,
            value_type: ValueType::Number,
            topic: None,
            retain: false,
            unless: Vec::new(),
        };
        let (mut own, mut level) = (None, None);
        match value {
            DeValue::String(text) => match ValueType::named(text) {
                Some(value_type) => field.value_type = value_type,
                None => faults.add_choice(Some(at), &name, text, &ValueType::NAMES),
            },
            DeValue::Table(entries) => {
                let mut table = Table::new(entries, Some(at..at), "fields");
                own = path(&mut table, "path", faults);
                if let Some(path) = own.take_if(|path| path.wildcards() > 0) {
                    faults.add(
                        table.at("path"),
                        &format!("{name}: `{path}` must not have wildcards; `each` makes a point of every item, and [[metric]] one of every value"),
                    );
                }
                field.value_type = value_type(&mut table, faults);
                field.retain = table.boolean("retain", faults).unwrap_or(false);
                level = table.string("level", faults).and_then(|name| {
                    let at = table.at("level");
                    named_level(&name, &field, own.is_some(), addresses)
                        .map_err(|message| faults.add(at, &message))
                        .ok()
                });
                let unless = plain_paths(&mut table, "unless", faults);
                field.unless = unless.iter().map(|path| addresses.of(path)).collect();
                field.topic = topic(&mut table, 0, faults)
                    .map(|topic| topic.compile(|path| addresses.of_hole(&path)));
                table.refuse_others(faults);
            }
            _ => faults.add(
                Some(at),
                &format!(
                    "{name}: expected a type, such as \"number\", or a table with `path` and `type`"
                ),
            ),
        }
        field.address = match level {
            Some(level) => level,
            None => addresses.of(&own.unwrap_or_else(|| Path::of_key(&name))),
        };
        fields.push(field);
    }
}

/// The named level that gives a field; the error is a message for the author of the profile.
fn named_level(
    name: &str,
    field: &Field,
    has_path: bool,
    addresses: &Addresses<'_>,
) -> Result<Address, String> {
    if has_path {
        return Err("level: a field has a level of the topic or a path, not both".to_owned());
    }
    if matches!(field.value_type, ValueType::Bool | ValueType::Any) {
        return Err("level: the type of such a field is number, integer or string".to_owned());
    }
    addresses
        .of_level(name)
        .ok_or_else(|| format!("level: no level of the filter has the name `{name}`"))
}
