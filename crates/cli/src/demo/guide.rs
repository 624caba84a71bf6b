//! What the demo prints: where everything is, and what to try.

use super::extension::{self, ACME, FUNCTION};
use super::world::{Places, Sublet, own_program, shown};
use crate::child::Process;

pub(super) fn print(places: &Places, sublet: &Sublet, todo: &Process, acme_key: &str) {
    let program = own_program().map_or_else(|_| "sublet".to_owned(), |path| shown(&path));
    let (url, page, key, data) = (&sublet.process.url, &todo.url, &sublet.key, shown(&places.data));
    let acme = shown(&ACME.folder(&places.data));
    println!("to-do product  {page}");
    println!("Sublet         {url}   (API: {url}/openapi.json)");
    println!("data and logs  {data}   (a second start finds everything again)");
    println!();
    println!("Three customers have extended the product with code of their own:");
    for extension in extension::ALL {
        println!("  {:8} {}", extension.tenant, extension.does);
    }
    println!();
    println!("Try:");
    println!("  1. Open {page} and add an item as Acme (\"Send the report on friday #finance\")");
    println!("     and as Globex (\"Call the bank today, urgent!\").");
    println!("  2. Add one as Mallory: it fails after a second, and the others go on as before.");
    println!("  3. Change {acme}/index.mjs, deploy it with Acme's own key, and add an item:");
    println!();
    println!("     SUBLET_URL={url} SUBLET_KEY={acme_key} \\");
    println!("       {program} deploy {acme} --tenant {} --function {FUNCTION}", ACME.tenant);
    println!();
    println!("  4. As the operator, see what each customer used, and what became of an event:");
    println!();
    println!("     export SUBLET_URL={url} SUBLET_KEY={key}");
    println!("     {program} usage");
    println!("     {program} event list");
    println!("     {program} event explain evt_…");
    println!("     {program} logs {FUNCTION} --tenant {}", ACME.tenant);
    println!();
    println!("Ctrl-C ends both.");
}
