//! Writes the impl of a type that was read.
use std::collections::HashMap;

use proc_macro::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};

use crate::input::{Body, Error, Field, Item, Parameter, Result};

/// Tokens that stand for the words of a template: `__NAME` becomes what is kept under that word.
#[derive(Default)]
struct Words(HashMap<String, TokenStream>);

impl Words {
    fn set(&mut self, word: impl Into<String>, tokens: impl Into<TokenStream>) {
        self.0.insert(word.into(), tokens.into());
    }

    /// The template's tokens, with its words replaced. They bear the derive's span, the words'
    /// tokens their own: so the compiler points at the field that is at fault.
    fn fill(&self, template: &str) -> TokenStream {
        self.replace(template.parse().expect("templates of this file are Rust"))
    }

    fn replace(&self, tokens: TokenStream) -> TokenStream {
        let one = |token: TokenTree| -> TokenStream {
            match token {
                TokenTree::Ident(ident) => self
                    .0
                    .get(&ident.to_string())
                    .cloned()
                    .unwrap_or_else(|| TokenTree::Ident(ident).into()),
                TokenTree::Group(group) => {
                    let mut replaced = Group::new(group.delimiter(), self.replace(group.stream()));
                    replaced.set_span(group.span());
                    TokenTree::Group(replaced).into()
                }
                other => other.into(),
            }
        };
        tokens.into_iter().map(one).collect()
    }
}

/// A type as one token: what follows it cannot become part of it.
fn closed(tokens: &TokenStream) -> TokenStream {
    TokenTree::Group(Group::new(Delimiter::None, tokens.clone())).into()
}

/// A name for a variable or a function of the generated code. A parameter of the type may be called
/// as the derive likes to call its own, and then the compiler would take one for the other: so the
/// name begins as none of the parameters does.
fn own_name(item: &Item, name: &str) -> TokenTree {
    let is_taken = |prefix: &str| {
        item.parameters.iter().any(|parameter| {
            let (Parameter::Type { name, .. } | Parameter::Const { name, .. }) = parameter;
            name.to_string().starts_with(prefix)
        })
    };
    let mut prefix = String::from("__shm_");
    while is_taken(&prefix) {
        prefix.push('_');
    }
    Ident::new(&(prefix + name), Span::call_site()).into()
}

fn words_of(item: &Item) -> Words {
    let mut words = Words::default();
    let (mut declared, mut passed, mut bounds) =
        (TokenStream::new(), TokenStream::new(), item.conditions.clone());
    let comma = |tokens: &mut TokenStream| tokens.extend(",".parse::<TokenStream>());
    if !bounds.is_empty() && !item.conditions.to_string().trim_end().ends_with(',') {
        comma(&mut bounds);
    }
    words.set("__CRATE", item.path.clone().unwrap_or_else(|| "::shmheap".parse().expect("a path")));
    for parameter in &item.parameters {
        let mut inner = Words::default();
        inner.set("__CRATE", words.0["__CRATE"].clone());
        match parameter {
            Parameter::Type { name, bounds: own } => {
                inner.set("__N", TokenTree::from(name.clone()));
                inner.set("__B", own.clone());
                declared.extend(inner.fill(if own.is_empty() { "__N," } else { "__N: __B," }));
                bounds.extend(inner.fill("__N: __CRATE::Shm,"));
            }
            Parameter::Const { name, of } => {
                inner.set("__N", TokenTree::from(name.clone()));
                inner.set("__B", of.clone());
                declared.extend(inner.fill("const __N: __B,"));
            }
        }
        // In braces it is no type that has the same name.
        let is_const = matches!(parameter, Parameter::Const { .. });
        passed.extend(inner.fill(if is_const { "{ __N }," } else { "__N," }));
    }
    words.set("__DECLARED", declared);
    words.set("__PASSED", passed);
    words.set("__BOUNDS", bounds);
    words.set("__SELF", TokenTree::from(item.name.clone()));
    for name in ["place", "next", "value", "number", "parts"] {
        words.set(format!("__{}", name.to_uppercase()), own_name(item, name));
    }
    words
}

/// `.named("...")` and `.version(...)`, where the type's `#[shm(...)]` has them.
fn identity(item: &Item) -> TokenStream {
    let mut words = Words::default();
    let mut tokens = TokenStream::new();
    if let Some(named) = &item.named {
        words.set("__L", TokenTree::from(named.clone()));
        tokens.extend(words.fill(".named(__L)"));
    }
    if let Some(version) = &item.version {
        words.set("__L", TokenTree::from(version.clone()));
        tokens.extend(words.fill(".version(__L)"));
    }
    tokens
}

const IMPL: &str = "
    const _: () = {
        #[automatically_derived]
        unsafe impl<__DECLARED> __CRATE::Shm for __SELF<__PASSED> where __BOUNDS {
            const SHAPE: __CRATE::Shape = __SHAPE;
            #[inline]
            #[allow(unused_mut, unused_variables, unused_assignments)]
            unsafe fn is_valid(__PLACE: *const Self) -> bool {
                __VALID
            }
        }
        __PROOF
    };";

pub fn implementation(item: &Item) -> Result<TokenStream> {
    let mut words = words_of(item);
    match &item.body {
        Body::Struct { fields, named } => of_struct(&mut words, item, fields, *named),
        Body::Enum { variants } => of_enum(&mut words, item, variants)?,
    }
    Ok(words.fill(IMPL))
}

/// `#[shm(crate = ...)]` may name a module that the program wrote. What the generated code takes
/// from it is the trait and `Shape`, and the impl compiles only if both are the real ones, and the
/// macro `offset_of`, which stands outside of `unsafe` and whose result `Shape::complete` holds
/// against the sizes of the fields before it.
///
/// `__PROOF` compiles only if the type has exactly the fields that the derive read, with the types
/// that it read: another macro may have changed the type after that.
fn of_struct(words: &mut Words, item: &Item, fields: &[Field], named: bool) {
    let (mut shape, mut valid) = (TokenStream::new(), TokenStream::new());
    let (mut pattern, mut types, mut values) =
        (TokenStream::new(), TokenStream::new(), TokenStream::new());
    for (i, field) in fields.iter().enumerate() {
        let mut one = Words::default();
        one.set("__CRATE", words.0["__CRATE"].clone());
        one.set("__F", field.name.clone());
        one.set("__T", closed(&field.of));
        one.set("__NEXT", words.0["__NEXT"].clone());
        one.set("__V", own_name(item, &format!("field_{i}")));
        shape.extend(one.fill(
            ".field(__CRATE::__private::core::mem::offset_of!(Self, __F), \
             &<__T as __CRATE::Shm>::SHAPE)",
        ));
        valid.extend(one.fill(
            "&& unsafe {
                 <__T as __CRATE::Shm>::is_valid(__CRATE::Shape::next_field(&mut __NEXT))
             }",
        ));
        pattern.extend(one.fill(if named { "__F: __V," } else { "__V," }));
        // Apart from the impl, where no `Self` is known.
        let mut own = Words::default();
        own.set("Self", words.fill("__SELF::<__PASSED>"));
        one.set("__T", closed(&own.replace(field.of.clone())));
        types.extend(one.fill("&__T,"));
        values.extend(one.fill("__V,"));
    }
    words.set("__FIELDS", shape);
    words.set("__IDENTITY", identity(item));
    words.set(
        "__SHAPE",
        words.fill("__CRATE::Shape::of_struct::<Self>() __IDENTITY __FIELDS .complete()"),
    );
    words.set("__CHECKS", valid);
    words.set("__VALID", words.fill("let mut __NEXT = __PLACE.cast::<u8>(); true __CHECKS"));
    words.set("__PATTERN", pattern);
    words.set("__TYPES", types);
    words.set("__VALUES", values);
    let pattern = if named { "__SELF { __PATTERN }" } else { "__SELF(__PATTERN)" };
    let proof = format!(
        "fn __PARTS<__DECLARED>(__VALUE: &__SELF<__PASSED>) -> (__TYPES) where __BOUNDS {{
             let {pattern} = __VALUE;
             (__VALUES)
         }}"
    );
    words.set(
        "__PROOF",
        words.fill(&format!("#[allow(dead_code, unused_variables, clippy::all)] {proof}")),
    );
}

/// The proof here is that each variant is a `Self` (the match) and can be cast to an integer, which
/// of all types that a program can declare enums without fields alone allow; that there are no
/// other variants (the match again); and that the bytes of each are its number (`Shape::variant`).
fn of_enum(words: &mut Words, item: &Item, variants: &[Ident]) -> Result<()> {
    let Some(integer) = &item.repr_integer else {
        return Err(Error::new("no integer", item.name.span()));
    };
    if variants.is_empty() {
        return Err(Error::new("an enum without variants has no values", item.name.span()));
    }
    let (mut shape, mut valid, mut all) =
        (TokenStream::new(), TokenStream::new(), TokenStream::new());
    for variant in variants {
        let mut one = Words::default();
        one.set("__I", TokenTree::from(integer.clone()));
        one.set("__V", TokenTree::from(variant.clone()));
        one.set("__NUMBER", words.0["__NUMBER"].clone());
        shape.extend(one.fill(".variant(&Self::__V, Self::__V as __I as i64)"));
        all.extend(one.fill("Self::__V => (),"));
        valid.extend(one.fill("|| __NUMBER == Self::__V as __I"));
    }
    words.set("__I", TokenTree::from(integer.clone()));
    words.set("__VARIANTS", shape);
    words.set("__IDENTITY", identity(item));
    let text =
        "unsafe { __CRATE::Shape::of_enum::<Self, __I>() __IDENTITY __VARIANTS .complete() }";
    words.set("__SHAPE", words.fill(text));
    words.set("__CHECKS", valid);
    words.set("__ALL", all);
    let text = "let _ = |__VALUE: Self| match __VALUE { __ALL };
                let __NUMBER = unsafe { __PLACE.cast::<__I>().read() };
                false __CHECKS";
    words.set("__VALID", words.fill(text));
    words.set("__PROOF", TokenStream::new());
    Ok(())
}
