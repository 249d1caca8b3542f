//! Hourly roll-ups that every insertion updates, for PostgreSQL without TimescaleDB.
//!
//! A trigger adds the sums and counts of the inserted rows in the same transaction. So late rows count, and concurrent writers lose nothing. A view shows
//! totals and averages.

use crate::columns::TIME;
use crate::names::{joined, literal, qualified, quoted};

/// An hourly roll-up of a table.
#[derive(Debug, Clone)]
pub struct RollUp<'a> {
    /// The schema of all tables and views.
    pub schema: &'a str,
    /// The raw table.
    pub table: &'a str,
    /// The view that shows counts, sums and averages.
    pub view: &'a str,
    /// The columns by which rows are grouped.
    pub by: &'a [&'a str],
    /// The view's column with the number of rows.
    pub count: &'a str,
    /// Raw columns that are summed, with the view's columns for the total and the average; an empty name leaves one out.
    pub sums: &'a [(&'a str, &'a str, &'a str)],
}

impl RollUp<'_> {
    /// The table that holds sums and counts.
    pub fn sums_table(&self) -> String {
        joined(self.view, "_sums")
    }

    /// The statements that make the roll-up. A second run changes nothing, and existing rows are not counted again.
    pub fn statements(&self) -> Vec<String> {
        vec![
            self.create_table(),
            self.create_index(),
            self.create_function(),
            self.create_trigger(),
            self.create_view(),
        ]
    }

    fn create_table(&self) -> String {
        let mut columns = vec!["bucket timestamptz NOT NULL".to_owned()];
        columns.extend(
            self.by
                .iter()
                .map(|column| format!("{} text", quoted(column))),
        );
        columns.push("row_count bigint NOT NULL".into());
        for (column, ..) in self.sums {
            columns.push(format!(
                "{} double precision NOT NULL",
                quoted(&sum(column))
            ));
            columns.push(format!("{} bigint NOT NULL", quoted(&count(column))));
        }
        format!(
            "CREATE TABLE IF NOT EXISTS {} ({})",
            qualified(self.schema, &self.sums_table()),
            columns.join(", ")
        )
    }

    /// NULL counts as an ordinary value here; before version 15 there is no other way to write that.
    fn key(&self) -> String {
        let by: Vec<String> = self
            .by
            .iter()
            .map(|column| format!("(coalesce({}, E'\\x01'))", quoted(column)))
            .collect();
        format!("bucket, {}", by.join(", "))
    }

    fn create_index(&self) -> String {
        format!(
            "CREATE UNIQUE INDEX IF NOT EXISTS {} ON {} ({})",
            quoted(&joined(self.view, "_sums_key")),
            qualified(self.schema, &self.sums_table()),
            self.key()
        )
    }

    fn function(&self) -> String {
        qualified(self.schema, &joined(self.view, "_add"))
    }

    fn create_function(&self) -> String {
        let by: Vec<String> = self.by.iter().map(|column| quoted(column)).collect();
        let (mut into, mut from, mut set) = (Vec::new(), Vec::new(), Vec::new());
        for (column, ..) in self.sums {
            let (sum, count) = (quoted(&sum(column)), quoted(&count(column)));
            from.push(format!("coalesce(sum({}), 0)", quoted(column)));
            from.push(format!("count({})", quoted(column)));
            set.push(format!("{sum} = kept.{sum} + excluded.{sum}"));
            set.push(format!("{count} = kept.{count} + excluded.{count}"));
            into.push(sum);
            into.push(count);
        }
        let comma = |names: &[String]| {
            names
                .iter()
                .flat_map(|name| [", ", name])
                .collect::<String>()
        };
        let by_text: Vec<String> = by.iter().map(|name| format!("{name}::text")).collect();
        let numbers: Vec<String> = (2..by.len() + 2).map(|at| at.to_string()).collect();
        // Sorted, so that deadlocks between two writers are rare.
        format!(
            "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $function$ BEGIN \
             INSERT INTO {sums} AS kept (bucket{by_list}, row_count{into}) \
             SELECT date_trunc('hour', {time} AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS bucket{by_text}, count(*){from} \
             FROM added GROUP BY 1{numbers} ORDER BY 1{numbers} \
             ON CONFLICT ({key}) DO UPDATE SET row_count = kept.row_count + excluded.row_count{set}; \
             RETURN NULL; END $function$",
            function = self.function(),
            sums = qualified(self.schema, &self.sums_table()),
            by_list = comma(&by),
            by_text = comma(&by_text),
            into = comma(&into),
            time = quoted(TIME),
            from = comma(&from),
            numbers = comma(&numbers),
            key = self.key(),
            set = comma(&set),
        )
    }

    fn create_trigger(&self) -> String {
        let name = quoted(&joined(self.view, "_add"));
        let table = qualified(self.schema, self.table);
        format!(
            "DO $do$ BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgname = {} AND tgrelid = {}::regclass) THEN \
             CREATE TRIGGER {name} AFTER INSERT ON {table} REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION {}(); \
             END IF; END $do$",
            literal(&joined(self.view, "_add")),
            literal(&table),
            self.function()
        )
    }

    fn create_view(&self) -> String {
        let mut columns = vec!["bucket".to_owned()];
        columns.extend(self.by.iter().map(|column| quoted(column)));
        columns.push(format!("row_count AS {}", quoted(self.count)));
        for (column, total, average) in self.sums {
            let (sum, count) = (quoted(&sum(column)), quoted(&count(column)));
            if !total.is_empty() {
                columns.push(format!(
                    "CASE WHEN {count} > 0 THEN {sum} END AS {}",
                    quoted(total)
                ));
            }
            if !average.is_empty() {
                columns.push(format!("{sum} / nullif({count}, 0) AS {}", quoted(average)));
            }
        }
        format!(
            "CREATE OR REPLACE VIEW {} AS SELECT {} FROM {}",
            qualified(self.schema, self.view),
            columns.join(", "),
            qualified(self.schema, &self.sums_table())
        )
    }
}

fn sum(column: &str) -> String {
    joined(column, "_sum")
}

fn count(column: &str) -> String {
    joined(column, "_count")
}
