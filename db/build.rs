//! Rebuilds the crate when a migration is added: `embed_migrations!` alone does not detect new directories.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
