//! What is left when all is measured: a table for people, JSON for programs.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Value, json};
use sublet_model::{Clock, SystemClock};

use super::figure::{Figure, short, spread};
use super::machine::Machine;
use crate::print::Printer;

pub(super) struct Report {
    pub(super) figures: Vec<Figure>,
    pub(super) machine: Machine,
    pub(super) quick: bool,
    pub(super) time: String,
}

pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Report {
    pub(super) fn new(figures: Vec<Figure>, quick: bool) -> Report {
        Report { figures, machine: Machine::here(), quick, time: SystemClock.now().to_string() }
    }

    /// What the figures are worth, in a line.
    pub(super) fn caption(&self) -> String {
        let length = if self.quick { ", quick run" } else { "" };
        format!("sublet {VERSION}{length}, {}: {}", self.time, self.machine.sentence())
    }

    pub(super) fn print(&self, printer: Printer) {
        if printer.json {
            return printer.raw(&self.json());
        }
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(["WHAT", "MEDIAN", "LEAST – MOST", "", "YARDSTICK OF THE SAME ROUNDS", "", "RATIO"]);
        for figure in &self.figures {
            let all = figure.spread();
            let (name, value, ratio) = match &figure.yardstick {
                Some(yardstick) => (
                    yardstick.name.clone(),
                    short(spread(&yardstick.rounds).median),
                    figure.ratio().map_or(String::new(), |ratio| format!("{}×", short(ratio))),
                ),
                None => Default::default(),
            };
            let range = format!("{} – {}", short(all.low), short(all.high));
            table.add_row([figure.name.clone(), short(all.median), range, figure.unit.to_owned(), name, value, ratio]);
        }
        for column in [1, 5, 6] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        println!("{table}\n\n{}", self.caption());
    }

    fn json(&self) -> Value {
        json!({
            "version": VERSION,
            "time": self.time,
            "quick": self.quick,
            "machine": self.machine,
            "figures": self.figures.iter().map(Figure::json).collect::<Vec<_>>(),
        })
    }
}
