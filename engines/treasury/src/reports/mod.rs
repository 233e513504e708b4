//! The reports, one file each.

pub mod balance;
pub mod balance_sheet;
pub mod statement;
pub mod trial_balance;

use vm_contracts::{Failure, Fault};

use crate::money::MoneyError;

/// A sum over the state that does not fit; the operations never let that happen.
pub(crate) fn overflow(error: MoneyError) -> Failure {
    let mut fault = Fault::new(error.code(), format!("summing the accounts: {error}"));
    fault.retryable = false;
    Failure::Fault(fault)
}

/// Is `account` the wanted one or below it?
pub(crate) fn below(account: &str, wanted: &str) -> bool {
    account.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}
