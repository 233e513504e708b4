//! Treasury engine: accounts, double-entry transfers, settlement, journals in and out.
//!
//! Every transfer leaves one debit and one credit of the same amount in one call, so debits and
//! credits agree in every asset at every size of the scroll. Amounts are exact decimals. Nothing
//! is edited: what was wrong is reversed by a new transfer.
//!
//! The engine moves no money in the world and asks no bank; it keeps and proves what it was told.

pub mod beancount;
pub mod book;
pub mod convert;
pub mod decide;
pub mod export;
pub mod import;
pub mod journal;
pub mod lines;
pub mod money;
pub mod ops;
pub mod place;
pub mod reports;
pub mod state;
pub mod story;

#[cfg(test)]
mod flows;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod testing;

use vm_contracts::{AnyReport, Engine, Exporter, Importer, Line, Operations};

use state::State;

/// The treasury.
pub struct Treasury;

impl Engine for Treasury {
    const NAME: &'static str = "treasury";
    const SCROLL: &'static str = "treasury";
    const PREFIX: &'static str = "treasury_";
    const ABOUT: &'static str = "Accounts, transfers and settlements that always add up";
    type State = State;
    const OPERATIONS: &'static [Operations<State>] = &[
        Operations::Record(&ops::account_open::AccountOpen),
        Operations::Record(&ops::transfer::Transfer),
        Operations::Record(&ops::post::Post),
        Operations::Record(&ops::void::Void),
        Operations::Record(&ops::link::Link),
        Operations::Record(&ops::settle::Settle),
        Operations::Record(&ops::reverse::Reverse),
        Operations::Record(&ops::account_close::AccountClose),
    ];
    const REPORTS: &'static [&'static dyn AnyReport<State>] = &[
        &reports::balance::Balance,
        &reports::statement::Statement,
        &reports::trial_balance::TrialBalance,
        &reports::balance_sheet::BalanceSheet,
    ];
    const IMPORTERS: &'static [&'static dyn Importer<State>] = &[
        &import::Journal { format: "hledger" },
        &import::Journal { format: "ledger" },
        &import::Beancount,
    ];
    const EXPORTERS: &'static [&'static dyn Exporter<State>] =
        &[&export::hledger::Hledger, &export::beancount::Beancount, &export::csv::Csv];

    fn fold(state: &mut State, line: &Line) {
        state.fold(line);
    }
}
