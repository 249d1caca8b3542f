//! Looks up tables, and makes missing ones. Existing tables are changed only by added columns, and nothing is dropped.

use crate::columns::{CONTENT, Catalogue, Column, ColumnType, Division, EXTRA, TIME, Table};
use crate::connection::{Server, rows};
use crate::error::{Error, Result};
use crate::names::{joined, literal, qualified, quoted};
use crate::rows::Wanted;
use crate::{plain, timescale};
use iiot_core::point::ValueKind;
use std::collections::BTreeMap;
use tokio_postgres::Client;

/// Where tables are, and how they are made.
pub(crate) struct Tables<'a> {
    /// Whether rows must be unique.
    pub unique: bool,
    pub client: &'a Client,
    pub server: &'a Server,
    pub schema: &'a str,
    pub lock_timeout_ms: u128,
}

/// The type of a new column.
pub const fn new_type(wanted: Wanted) -> &'static str {
    match wanted {
        Wanted::Tag | Wanted::Field(ValueKind::String) => "text",
        Wanted::Field(ValueKind::Number) => "double precision",
        Wanted::Field(ValueKind::Integer) => "bigint",
        Wanted::Field(ValueKind::Bool) => "boolean",
    }
}

/// The statement that makes a table with its columns, without its partitioning.
pub fn create(schema: &str, name: &str, columns: &BTreeMap<String, Wanted>) -> String {
    let is_free = |column: &str| ![TIME, EXTRA, CONTENT].contains(&column);
    let tags = |tags: bool| {
        columns
            .iter()
            .filter(move |(_, wanted)| (**wanted == Wanted::Tag) == tags)
    };
    let mut lines = vec![format!("{} timestamptz NOT NULL", quoted(TIME))];
    for (column, wanted) in tags(true).chain(tags(false)) {
        if is_free(column) {
            lines.push(format!("{} {}", quoted(column), new_type(*wanted)));
        }
    }
    lines.push(format!("{} jsonb", quoted(EXTRA)));
    format!(
        "CREATE TABLE IF NOT EXISTS {} ({})",
        qualified(schema, name),
        lines.join(", ")
    )
}

impl Tables<'_> {
    /// Read some tables from the catalogue. A relation to which no rows can be written is returned as its name and the reason.
    pub(crate) async fn look_up(
        &self,
        names: &[&str],
    ) -> Result<Vec<std::result::Result<Table, (String, String)>>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let wanted: Vec<String> = names.iter().map(|name| literal(name)).collect();
        let found = rows(self.client, &look_up_statement(self.schema, &wanted)).await?;
        let hypertables = self.hypertables().await?;
        let mut tables: Vec<(String, Vec<Column>, Division)> = Vec::new();
        // Views, indexes and sequences share the names with tables.
        let mut no_tables: Vec<String> = Vec::new();
        for row in &found {
            let text = |at: usize| row.get(at).unwrap_or_default();
            let name = text(0);
            if text(6) != "t" {
                no_tables.push(name.to_owned());
            }
            if tables.last().is_none_or(|(last, ..)| last != name) {
                let division = if hypertables.iter().any(|known| known == name) {
                    Division::Hypertable
                } else if text(4) == format!("RANGE ({TIME})")
                    || text(4) == format!("RANGE (\"{TIME}\")")
                {
                    Division::Partitions
                } else {
                    Division::None
                };
                tables.push((name.to_owned(), Vec::new(), division));
            }
            if let Some((_, columns, _)) = tables.last_mut() {
                columns.push(Column {
                    name: text(1).to_owned(),
                    type_name: text(2).to_owned(),
                    kind: ColumnType::parse(text(2)),
                    is_required: text(3) == "t",
                    is_computed: text(5) == "t",
                });
            }
        }
        Ok(tables
            .into_iter()
            .map(|(name, columns, division)| {
                if no_tables.contains(&name) {
                    let reason = format!("{name} is no table in this database");
                    return Err((name, reason));
                }
                Table::new(name.clone(), columns, TIME, division).ok_or_else(|| {
                    let reason = format!("table {name} has no column {TIME} of type timestamptz, so that rows cannot be written to it");
                    (name, reason)
                })
            })
            .collect())
    }

    async fn hypertables(&self) -> Result<Vec<String>> {
        if self.server.timescaledb.is_none() {
            return Ok(Vec::new());
        }
        let found = rows(self.client, &timescale::hypertables(self.schema)).await?;
        Ok(found
            .iter()
            .filter_map(|row| row.get(0).map(str::to_owned))
            .collect())
    }

    /// Look up the wanted tables and columns, make missing ones if that is allowed, and add all to the catalogue.
    pub(crate) async fn ensure(
        &self,
        wanted: &BTreeMap<String, BTreeMap<String, Wanted>>,
        manage: bool,
        catalogue: &mut Catalogue,
    ) -> Result<()> {
        let names: Vec<&str> = wanted.keys().map(String::as_str).collect();
        let mut known = self.look_up(&names).await?;
        if manage {
            for (name, columns) in wanted {
                let found = known.iter().find(|table| name_of(table) == name);
                self.make(name, columns, found).await?;
            }
            known = self.look_up(&names).await?;
        }
        for name in names {
            match known.iter().find(|table| name_of(table) == name) {
                Some(Ok(table)) if self.unique && table.content.is_none() => {
                    return Err(Error::report(format!(
                        "table {} has no column {CONTENT} of type uuid, which unique = true needs, with a unique index over {TIME} and {CONTENT}",
                        qualified(self.schema, name)
                    )));
                }
                Some(Ok(table)) => catalogue.put(table.clone()),
                Some(Err((_, reason))) => catalogue.put_unusable(name, reason),
                None => {
                    return Err(Error::report(format!(
                        "table {} does not exist; make it, or let the gateway make it (tables = \"manage\")",
                        qualified(self.schema, name)
                    )));
                }
            }
        }
        Ok(())
    }

    /// Make a table or its missing columns.
    async fn make(
        &self,
        name: &str,
        columns: &BTreeMap<String, Wanted>,
        found: Option<&std::result::Result<Table, (String, String)>>,
    ) -> Result<()> {
        let doing = format!("making table {}", qualified(self.schema, name));
        let made = match found {
            None => self.create(name, columns).await,
            Some(Err(_)) => Ok(()),
            Some(Ok(table)) => {
                if self.unique && table.content.is_none() {
                    self.change(&self.unique_key(name)).await?;
                }
                let missing: Vec<String> = columns
                    .iter()
                    .filter(|(column, _)| table.columns.iter().all(|c| &c.name != *column))
                    .map(|(column, wanted)| {
                        format!(
                            "ADD COLUMN IF NOT EXISTS {} {}",
                            quoted(column),
                            new_type(*wanted)
                        )
                    })
                    .collect();
                if missing.is_empty() {
                    return Ok(());
                }
                let alter = format!(
                    "ALTER TABLE {} {}",
                    qualified(self.schema, name),
                    missing.join(", ")
                );
                self.change(&alter).await
            }
        };
        made.map_err(|error| error.doing(&doing))
    }

    async fn create(&self, name: &str, columns: &BTreeMap<String, Wanted>) -> Result<()> {
        let mut create = create(self.schema, name, columns);
        let mut key = String::new();
        if self.unique {
            key = format!("; {}", self.unique_key(name));
        }
        if self.server.timescaledb.is_some() {
            let hypertable = timescale::create_hypertable(self.schema, name);
            return self.change(&format!("{create}; {hypertable}{key}")).await;
        }
        let index = format!(
            "CREATE INDEX IF NOT EXISTS {} ON {} ({} DESC)",
            quoted(&joined(name, "_time_idx")),
            qualified(self.schema, name),
            quoted(TIME)
        );
        create = format!("{create} PARTITION BY RANGE ({})", quoted(TIME));
        self.change(&format!("{create}; {index}{key}")).await
    }

    /// The index that makes rows unique. Earlier rows have no digest, and are not compared.
    fn unique_key(&self, name: &str) -> String {
        let table = qualified(self.schema, name);
        format!(
            "ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {content} uuid; CREATE UNIQUE INDEX IF NOT EXISTS {} ON {table} ({}, {content})",
            quoted(&joined(name, "_content_key")),
            quoted(TIME),
            content = quoted(CONTENT)
        )
    }

    /// Run statements that change tables in a transaction of their own, with a limited wait for locks.
    async fn change(&self, statements: &str) -> Result<()> {
        let all = format!(
            "BEGIN; SET LOCAL lock_timeout = {}; {statements}; COMMIT",
            self.lock_timeout_ms
        );
        self.client.batch_execute(&all).await.map_err(Into::into)
    }

    /// The times that the partitions of a table cover, in microseconds since 1970; `None` if a default partition takes all.
    pub(crate) async fn partitions(&self, name: &str) -> Result<Option<Vec<(i64, i64)>>> {
        let found = rows(self.client, &plain::partitions(self.schema, name)).await?;
        let mut ranges = Vec::new();
        for row in &found {
            let bound = |at: usize| row.get(at).and_then(|text| text.parse().ok());
            match (bound(1), bound(2)) {
                (Some(from), Some(to)) => ranges.push((from, to)),
                _ => return Ok(None),
            }
        }
        Ok(Some(ranges))
    }

    /// Whether the database has a function that makes partitions.
    pub(crate) async fn has_partition_function(&self) -> Result<bool> {
        let asked = plain::has_partition_function(self.schema);
        Ok(!rows(self.client, &asked).await?.is_empty())
    }

    /// Make the partition for a range of times. It is no error if another client was faster.
    pub(crate) async fn add_partition(&self, name: &str, range: (i64, i64)) -> Result<()> {
        let has_function = self.has_partition_function().await?;
        let statement = if has_function {
            plain::call_partition_function(self.schema, name, range)
        } else {
            plain::add_partition(self.schema, name, range)
        };
        let Err(error) = self.change(&statement).await else {
            return Ok(());
        };
        // The failed transaction is still open.
        self.client.batch_execute("ROLLBACK").await?;
        let covered = self.partitions(name).await?;
        if covered.is_none_or(|all| all.iter().any(|r| r.0 <= range.0 && r.1 >= range.1)) {
            return Ok(());
        }
        Err(error.doing(&format!(
            "making a partition of table {}",
            qualified(self.schema, name)
        )))
    }
}

fn name_of(found: &std::result::Result<Table, (String, String)>) -> &str {
    match found {
        Ok(table) => &table.name,
        Err((name, _)) => name,
    }
}

fn look_up_statement(schema: &str, wanted: &[String]) -> String {
    format!(
        "SELECT c.relname, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), \
         a.attnotnull AND NOT a.atthasdef AND a.attidentity = '', pg_catalog.pg_get_partkeydef(c.oid), \
         a.attgenerated <> '' OR a.attidentity = 'a', c.relkind IN ('r', 'p', 'f') \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid \
         WHERE n.nspname = {} AND c.relname IN ({}) AND a.attnum > 0 AND NOT a.attisdropped \
         ORDER BY c.relname, a.attnum",
        literal(schema),
        wanted.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A new table has the time first, then tags, then fields, then what has no column; every name is quoted.
    #[test]
    fn a_new_table_is_written_in_one_order() {
        let columns = BTreeMap::from([
            ("a\"b".to_owned(), Wanted::Field(ValueKind::Integer)),
            ("zone".to_owned(), Wanted::Tag),
            ("time".to_owned(), Wanted::Tag),
        ]);
        assert_eq!(
            create("s", "Order", &columns),
            r#"CREATE TABLE IF NOT EXISTS "s"."Order" ("time" timestamptz NOT NULL, "zone" text, "a""b" bigint, "extra" jsonb)"#
        );
    }
}
