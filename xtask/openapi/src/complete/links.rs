//! Where answers lead: what one says is what other operations ask for.

use anyhow::{Context, Result, bail};
use common_contract::{Contract, Link};
use serde_json::{Value, json};

use super::{Object, object_in};

/// Adds the contract's links to the good answers. Fails where one names an operation that there is not.
pub(super) fn add(root: &mut Object, contract: &Contract) -> Result<()> {
    for link in contract.links {
        for to in link.to {
            if !contract.operations.iter().any(|operation| operation.id == *to) {
                bail!("CONTRACT.links leads to {to}, which is no operation");
            }
        }
    }
    super::each_operation(root, contract, |operation, described| {
        for link in contract.links.iter().filter(|link| link.from == described.id) {
            let responses = object_in(operation, "responses")?.iter_mut();
            let good = responses.filter(|(status, _)| status.starts_with('2')).map(|(_, response)| response).next();
            let good = good.and_then(Value::as_object_mut).context("no good answer to lead from")?;
            object_in(good, "links")?.extend(link.to.iter().map(|to| ((*to).to_owned(), written(link, to))));
        }
        Ok(())
    })
}

fn written(link: &Link, to: &str) -> Value {
    let parameters: Object =
        link.parameters.iter().map(|(name, place)| ((*name).to_owned(), (*place).into())).collect();
    json!({ "operationId": to, "parameters": parameters })
}
