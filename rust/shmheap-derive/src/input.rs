//! Reads a struct or an enum from its tokens.
use std::iter::Peekable;

use proc_macro::token_stream::IntoIter;
use proc_macro::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

/// What is wrong with an item, and where.
pub struct Error {
    text: String,
    span: Span,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn new(text: impl Into<String>, span: Span) -> Self {
        Error { text: text.into(), span }
    }

    /// `compile_error!("text");`
    pub fn tokens(self) -> TokenStream {
        let mut punct = [Punct::new('!', Spacing::Alone), Punct::new(';', Spacing::Alone)];
        punct.iter_mut().for_each(|punct| punct.set_span(self.span));
        let mut text = Literal::string(&self.text);
        text.set_span(self.span);
        let mut group = Group::new(Delimiter::Parenthesis, TokenTree::Literal(text).into());
        group.set_span(self.span);
        let [bang, end] = punct;
        let name = Ident::new("compile_error", self.span);
        let tokens: [TokenTree; 4] = [name.into(), bang.into(), group.into(), end.into()];
        tokens.into_iter().collect()
    }
}

pub enum Parameter {
    Type { name: Ident, bounds: TokenStream },
    Const { name: Ident, of: TokenStream },
}

/// A field: its name or number, and its type.
pub struct Field {
    pub name: TokenTree,
    pub of: TokenStream,
}

pub enum Body {
    Struct { fields: Vec<Field>, named: bool },
    Enum { variants: Vec<Ident> },
}

pub struct Item {
    pub name: Ident,
    pub parameters: Vec<Parameter>,
    pub conditions: TokenStream,
    pub body: Body,
    /// The integer of `#[repr(u8)]` and the like.
    pub repr_integer: Option<Ident>,
    /// Words of `#[shm(name = "...", version = 1)]` that take part in the fingerprint.
    pub named: Option<Literal>,
    pub version: Option<Literal>,
    /// `#[shm(crate = path)]`
    pub path: Option<TokenStream>,
}

#[derive(Default)]
struct Attributes {
    repr: Vec<Ident>,
    named: Option<Literal>,
    version: Option<Literal>,
    path: Option<TokenStream>,
}

const INTEGERS: [&str; 10] =
    ["u8", "u16", "u32", "u64", "usize", "i8", "i16", "i32", "i64", "isize"];

type Tokens = Peekable<IntoIter>;

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

fn is_word(token: Option<&TokenTree>, wanted: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if ident.to_string() == wanted)
}

fn name_of(tokens: &mut Tokens) -> Result<Ident> {
    match tokens.next() {
        Some(TokenTree::Ident(ident)) => Ok(ident),
        other => Err(Error::new(
            "a name was expected",
            other.map_or(Span::call_site(), |token| token.span()),
        )),
    }
}

/// Tokens up to one of the stops, outside angle brackets; the stop itself stays.
fn until(tokens: &mut Tokens, stops: &[char], stop_at_body: bool) -> TokenStream {
    let (mut found, mut depth, mut arrow) = (Vec::new(), 0usize, false);
    while let Some(token) = tokens.peek() {
        match token {
            TokenTree::Punct(punct) => {
                let sign = punct.as_char();
                match sign {
                    _ if depth == 0 && !arrow && stops.contains(&sign) => break,
                    '<' => depth += 1,
                    '>' if !arrow => depth = depth.saturating_sub(1),
                    _ => {}
                }
                arrow = sign == '-' && punct.spacing() == Spacing::Joint;
            }
            TokenTree::Group(group)
                if depth == 0 && stop_at_body && group.delimiter() == Delimiter::Brace =>
            {
                break
            }
            _ => arrow = false,
        }
        found.extend(tokens.next());
    }
    found.into_iter().collect()
}

/// Names with `::` between them, and perhaps before the first.
fn is_path(tokens: &TokenStream) -> bool {
    let (mut names, mut colons) = (0, 0);
    for token in tokens.clone() {
        match token {
            TokenTree::Ident(_) if colons == 2 || (names, colons) == (0, 0) => {
                (names, colons) = (names + 1, 0)
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' && colons < 2 => colons += 1,
            _ => return false,
        }
    }
    names > 0 && colons == 0
}

impl Attributes {
    /// Reads the attributes that come next, of which `repr` and `shm` count.
    fn read(tokens: &mut Tokens) -> Result<Self> {
        let mut attributes = Attributes::default();
        while is_punct(tokens.peek(), '#') {
            tokens.next();
            let Some(TokenTree::Group(group)) = tokens.next() else { continue };
            let mut inner = group.stream().into_iter().peekable();
            let name = inner.next();
            let Some(TokenTree::Group(list)) = inner.next() else { continue };
            if is_word(name.as_ref(), "repr") {
                attributes.repr.extend(list.stream().into_iter().filter_map(|token| match token {
                    TokenTree::Ident(ident) => Some(ident),
                    _ => None,
                }));
            } else if is_word(name.as_ref(), "shm") {
                attributes.read_own(list.stream().into_iter().peekable())?;
            }
        }
        Ok(attributes)
    }

    fn read_own(&mut self, mut tokens: Tokens) -> Result<()> {
        while tokens.peek().is_some() {
            let key = name_of(&mut tokens)?;
            if !is_punct(tokens.peek(), '=') {
                return Err(Error::new("write `key = value`", key.span()));
            }
            tokens.next();
            let value = until(&mut tokens, &[','], false);
            tokens.next();
            let literal = match value.clone().into_iter().next() {
                Some(TokenTree::Literal(literal)) => Some(literal),
                _ => None,
            };
            match key.to_string().as_str() {
                "name" if literal.is_some() => self.named = literal,
                "version" if literal.is_some() => self.version = literal,
                "crate" if is_path(&value) => self.path = Some(value),
                "crate" => {
                    return Err(Error::new("a path is expected here: names and `::`", key.span()))
                }
                "name" | "version" => {
                    return Err(Error::new("a literal is expected here", key.span()))
                }
                _ => {
                    return Err(Error::new(
                        "unknown: `name`, `version` and `crate` are known here",
                        key.span(),
                    ))
                }
            }
        }
        Ok(())
    }

    fn refuse_on_parts(&self, span: Span) -> Result<()> {
        match self.named.is_some() || self.version.is_some() || self.path.is_some() {
            true => Err(Error::new("`#[shm(...)]` belongs above the whole type", span)),
            false => Ok(()),
        }
    }

    fn has_repr(&self, wanted: &str) -> bool {
        self.repr.iter().any(|word| word.to_string() == wanted)
    }
}

fn skip_visibility(tokens: &mut Tokens) {
    if is_word(tokens.peek(), "pub") {
        tokens.next();
        if let Some(TokenTree::Group(group)) = tokens.peek() {
            if group.delimiter() == Delimiter::Parenthesis {
                tokens.next();
            }
        }
    }
}

/// The parameters between `<` and `>`, of which the first was taken.
fn read_parameters(tokens: &mut Tokens) -> Result<Vec<Parameter>> {
    let mut found = Vec::new();
    while !is_punct(tokens.peek(), '>') {
        Attributes::read(tokens)?;
        if let Some(token) = tokens.peek().filter(|token| is_punct(Some(token), '\'')) {
            return Err(Error::new(
                "a type in shared memory has no lifetimes: it holds no references",
                token.span(),
            ));
        }
        let is_const = is_word(tokens.peek(), "const");
        if is_const {
            tokens.next();
        }
        let name = name_of(tokens)?;
        let mut bounds = TokenStream::new();
        if is_punct(tokens.peek(), ':') {
            tokens.next();
            bounds = until(tokens, &[',', '=', '>'], false);
        }
        if is_punct(tokens.peek(), '=') {
            until(tokens, &[',', '>'], false);
        }
        if is_punct(tokens.peek(), ',') {
            tokens.next();
        }
        found.push(match is_const {
            true => Parameter::Const { name, of: bounds },
            false => Parameter::Type { name, bounds },
        });
        if tokens.peek().is_none() {
            break;
        }
    }
    tokens.next();
    Ok(found)
}

fn read_fields(group: &Group) -> Result<Vec<Field>> {
    let mut tokens = group.stream().into_iter().peekable();
    let mut fields = Vec::new();
    while tokens.peek().is_some() {
        Attributes::read(&mut tokens)?.refuse_on_parts(group.span())?;
        skip_visibility(&mut tokens);
        let name = match group.delimiter() {
            Delimiter::Brace => {
                let name = name_of(&mut tokens)?;
                tokens.next(); // the colon
                name.into()
            }
            _ => Literal::usize_unsuffixed(fields.len()).into(),
        };
        let of = until(&mut tokens, &[','], false);
        tokens.next();
        fields.push(Field { name, of });
    }
    Ok(fields)
}

fn read_variants(group: &Group) -> Result<Vec<Ident>> {
    let mut tokens = group.stream().into_iter().peekable();
    let mut variants = Vec::new();
    while tokens.peek().is_some() {
        Attributes::read(&mut tokens)?.refuse_on_parts(group.span())?;
        let name = name_of(&mut tokens)?;
        if let Some(TokenTree::Group(fields)) = tokens.peek() {
            let text = "a variant with fields cannot be derived: variants of different lengths \
                        would leave bytes unwritten; use a struct with an enum without fields \
                        beside the data";
            return Err(Error::new(text, fields.span()));
        }
        until(&mut tokens, &[','], false); // its number
        tokens.next();
        variants.push(name);
    }
    Ok(variants)
}

impl Item {
    pub fn read(item: TokenStream) -> Result<Self> {
        let mut tokens = item.into_iter().peekable();
        let attributes = Attributes::read(&mut tokens)?;
        skip_visibility(&mut tokens);
        let kind = name_of(&mut tokens)?;
        let name = name_of(&mut tokens)?;
        let mut parameters = Vec::new();
        if is_punct(tokens.peek(), '<') {
            tokens.next();
            parameters = read_parameters(&mut tokens)?;
        }
        let mut conditions = read_conditions(&mut tokens);
        let group = match tokens.next() {
            Some(TokenTree::Group(group)) => Some(group),
            _ => None,
        };
        if conditions.is_empty() {
            conditions = read_conditions(&mut tokens); // of a tuple struct they come last
        }
        let body = match (kind.to_string().as_str(), group) {
            ("struct", Some(group)) => Body::Struct {
                fields: read_fields(&group)?,
                named: group.delimiter() == Delimiter::Brace,
            },
            ("struct", None) => Body::Struct { fields: Vec::new(), named: true },
            ("enum", Some(group)) => Body::Enum { variants: read_variants(&group)? },
            _ => {
                let text = "a union cannot be derived: nothing says which of its fields is there";
                return Err(Error::new(text, kind.span()));
            }
        };
        let repr_integer = attributes
            .repr
            .iter()
            .find(|word| INTEGERS.contains(&word.to_string().as_str()))
            .cloned();
        check_repr(&attributes, &body, repr_integer.is_some(), &name)?;
        let Attributes { named, version, path, .. } = attributes;
        Ok(Item { name, parameters, conditions, body, repr_integer, named, version, path })
    }
}

fn read_conditions(tokens: &mut Tokens) -> TokenStream {
    if !is_word(tokens.peek(), "where") {
        return TokenStream::new();
    }
    tokens.next();
    until(tokens, &[';'], true)
}

/// Without one, compilers may lay the type out differently in each program.
fn check_repr(attributes: &Attributes, body: &Body, has_integer: bool, name: &Ident) -> Result<()> {
    let text = match body {
        _ if attributes.has_repr("packed") => {
            "packed fields cannot be referred to: leave `packed` out"
        }
        Body::Struct { .. } if !attributes.has_repr("C") && !attributes.has_repr("transparent") => {
            "add #[repr(C)] (or transparent): other layouts differ from program to program"
        }
        Body::Enum { .. } if !has_integer => {
            "add #[repr(u8)] (or another integer): other layouts differ from program to program"
        }
        _ => return Ok(()),
    };
    Err(Error::new(text, name.span()))
}
