//! Reads the `[[metric]]` tables of a profile file.

use crate::addresses::device_tag;
use crate::path::Path;
use crate::path_keys::{path, plain_paths};
use crate::rules::{Address, Field, FieldName, PointRule, Rules};
use crate::shared_keys::{common, topic, value_type};
use crate::toml_table::{Faults, Table};
use crate::trie::Trie;

/// Read one `[[metric]]` into a point with one field.
pub(crate) fn read_metric(
    table: &mut Table<'_>,
    trie: &mut Trie,
    rules: &mut Rules,
    faults: &mut Faults,
) {
    let path = path(table, "path", faults);
    if path.is_none() && table.at("path").is_none() {
        faults.add(table.at(""), "metric: `path` is missing");
    }
    let wildcards = path.as_ref().map_or(0, Path::wildcards);
    let keys = &mut rules.device_keys;
    let mut address =
        |path: Path| device_tag(&path, keys).unwrap_or_else(|| Address::Document(trie.want(&path)));
    let topic = topic(table, wildcards, faults).map(|topic| topic.compile(&mut address));
    let common = common(table, wildcards, &mut address, faults);
    let name = table
        .string("field", faults)
        .unwrap_or_else(|| "value".to_owned());
    if name.is_empty() {
        faults.add(table.at("field"), "field: must not be empty");
    }
    let value_type = value_type(table, faults);
    let retain = table.boolean("retain", faults).unwrap_or(false);
    let unless: Vec<Address> = plain_paths(table, "unless", faults)
        .into_iter()
        .map(&mut address)
        .collect();
    rules.has_conditions |= !unless.is_empty();
    let (Some(path), Some((measurement, tags))) = (path, common) else {
        return;
    };
    rules.takes_bare_values |= path.steps.is_empty();
    let number = rules.fields.len() as u32;
    rules.fields.push(Field {
        point: rules.points.len() as u32,
        name: FieldName::Fixed(name),
        address: address(path),
        wildcards,
        value_type,
        topic,
        retain,
        unless,
    });
    rules.points.push(PointRule {
        measurement,
        tags,
        filters: Vec::new(),
        except_filters: Vec::new(),
        device_level: None,
        first_level: 0,
        fields: number..number + 1,
        scope: 0,
        time: None,
        except: Vec::new(),
        others: Vec::new(),
        is_short: true,
    });
}
