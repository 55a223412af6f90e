//! The trait of what may lie in the heap.
//!
//! - `shape`: how the values of a type lie in memory; `types`: the types that need no derive.
mod shape;
#[cfg(test)]
mod tests;
mod types;

pub(crate) use shape::mix;
pub use shape::Shape;

/// Types whose values may lie in shared memory. Derive it.
///
/// ```
/// use shmheap::{Handle, Heap, Shm};
///
/// #[derive(Shm, Clone, Copy, Debug, PartialEq)]
/// #[repr(u8)]
/// enum Unit {
///     Celsius = 1,
///     Kelvin = 2,
/// }
///
/// #[derive(Shm)]
/// #[repr(C)]
/// struct Sample {
///     time_ns: u64,
///     value: f32,
///     sensor: u16,
///     unit: Unit,
///     good: bool,
///     next: Handle<Sample>,
/// }
///
/// let heap = Heap::anonymous(1 << 16)?;
/// let (unit, good, next) = (Unit::Kelvin, true, Handle::NULL);
/// let sample = Sample { time_ns: 1, value: 0.5, sensor: 7, unit, good, next };
/// let sample = heap.receive(heap.boxed(sample)?.send()?)?;
/// assert_eq!((sample.unit, sample.good), (Unit::Kelvin, true));
/// # Ok::<(), shmheap::Error>(())
/// ```
///
/// Integers, floats, `bool`, `char`, `NonZero` integers and `Option` of those, atomics, arrays,
/// `()`, [`Handle`](crate::Handle)s, structs and enums without fields have it. A struct needs
/// `#[repr(C)]` or `#[repr(transparent)]`, an enum an integer's `repr`.
///
/// The derive refuses:
/// - references and pointers: an address means nothing in another process;
/// - padding: the bytes there would show a peer what lay in this process's memory before. Order the
///   fields by size, or add a field such as `unused: [u8; 4]`; It is refused where a value is
///   stored, too:
///
/// ```compile_fail,E0080
/// #[derive(shmheap::Shm)]
/// #[repr(C)]
/// struct Holes {
///     a: u8,
///     b: u32,
/// }
///
/// let _ = shmheap::Heap::anonymous(1 << 16).unwrap().boxed(Holes { a: 1, b: 2 });
/// ```
///
/// - other `Option`s and enums with fields: their layout is the compiler's, or has bytes that no
///   variant writes. Use a `bool` or an enum without fields beside the data.
///
/// # The fingerprint
/// The derive makes 64 bits of the type's size and alignment, and of each field's offset, width,
/// kind, and whether it may change under a reader (an atomic). Each object bears them, and a
/// receive compares them before it changes anything. Two programs whose types differ are told so
/// ([`Error::WrongType`](crate::Error::WrongType)). Types of the same structure are the same type,
/// unless they are named apart: `#[shm(name = "Celsius")]`, or `#[shm(version = 2)]`, or both.
///
/// The fingerprint is a hash: it tells types apart that differ by mistake. It is no secret, and no
/// signature.
///
/// # Validity
/// Bytes that are no value of the type are refused when they are received: a `bool` other than 0
/// and 1, a surrogate as a `char`, a number that no variant of an enum has
/// ([`Error::NotAValue`](crate::Error::NotAValue)).
///
/// Safe code of any process can make any value of the type, and copies of one, private fields
/// included: so nothing `unsafe` may rely on how a value came about. A type with a destructor is
/// refused when the program is compiled, since the process that would run it may be killed:
///
/// ```compile_fail,E0080
/// use shmheap::{Handle, Heap, Shm};
///
/// #[derive(Shm)]
/// #[repr(C)]
/// struct Guard(u64);
///
/// impl Drop for Guard {
///     fn drop(&mut self) {}
/// }
///
/// let _ = Heap::anonymous(1 << 16).unwrap().peek(Handle::<Guard>::NULL);
/// ```
///
/// `#[shm(crate = path::to::shmheap)]` is for crates that export this one under another path. A
/// module in its place that holds anything else than this crate's trait and [`Shape`] is refused
/// when the program is compiled.
///
/// # Safety
/// Derive it instead. By hand:
/// - [`SHAPE`](Shm::SHAPE) describes every byte of the type: offset, width, whether it may change
///   while a `&Self` exists, and no byte is padding;
/// - `Self` holds no references, no pointers and nothing else that means something in this process
///   alone;
/// - `is_valid` returns true only where the bytes are a value of the type; where `SHAPE` says that
///   any bytes are one, that is so.
#[diagnostic::on_unimplemented(
    message = "a value of type `{Self}` cannot lie in shared memory",
    label = "`{Self}` is no `Shm` type",
    note = "for a struct, also in the place of a tuple: `#[derive(shmheap::Shm)] #[repr(C)]`; for \
            an enum without fields: `#[derive(shmheap::Shm)] #[repr(u8)]`",
    note = "for `String`, `&str`, `Vec` and slices: a `Handle<str>` or a `Handle<[T]>` of a value \
            that was sent, or an array such as `[u8; 64]`",
    note = "for `Option`: a `bool` beside the value",
    note = "for a reference, a pointer or a `Box`: a `Handle<T>`; for a `Cell` or a `Mutex`: an \
            atomic"
)]
pub unsafe trait Shm: Sized + Send + 'static {
    /// How a value lies in memory.
    const SHAPE: Shape;

    /// Whether the bytes at `place` are a value of the type.
    ///
    /// # Safety
    /// `place` is aligned, all its bytes are initialised, and no thread or process writes them
    /// during the call.
    unsafe fn is_valid(place: *const Self) -> bool;
}
