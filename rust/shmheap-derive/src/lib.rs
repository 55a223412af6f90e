//! `#[derive(Shm)]` of the crate `shmheap`, which exports it; see the trait `shmheap::Shm` there.
//!
//! `input` reads the item, `output` writes the impl. Neither depends on another crate.
mod input;
mod output;

use proc_macro::TokenStream;

/// Implements `shmheap::Shm` for a struct, or for an enum without fields. See the trait's
/// documentation.
#[proc_macro_derive(Shm, attributes(shm))]
pub fn derive_shm(item: TokenStream) -> TokenStream {
    match input::Item::read(item).and_then(|item| output::implementation(&item)) {
        Ok(tokens) => tokens,
        Err(error) => error.tokens(),
    }
}
