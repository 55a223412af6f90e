//! Objects that change between the inspection and the claim, since generations repeat.
mod support;

use shmheap::{ArcHandle, Error, Handle, Heap};

/// What a thread meets when the heap's generation goes round after the thread inspects an object in
/// transit and before it claims the object: another object with the same handle. It has the same
/// length here, so the header is the same, and its contents are written at the moment of the claim:
/// the first write to the page of the header, which is protected until then.
mod gone_round {
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
    use std::sync::Mutex;

    const SIGSEGV: i32 = 11;
    extern "C" {
        fn mprotect(start: usize, len: usize, protection: i32) -> i32;
        fn signal(number: i32, handler: usize) -> usize;
    }

    const PAGE: usize = 4096;
    static PROTECTED: AtomicUsize = AtomicUsize::new(0);
    static PLACE: AtomicUsize = AtomicUsize::new(0);
    static WORD: AtomicU64 = AtomicU64::new(0);
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    extern "C" fn written(number: i32) {
        let page = PROTECTED.swap(0, SeqCst);
        // SAFETY: the page is the test's; a fault that is not its ends the process.
        unsafe {
            if page == 0 || mprotect(page, PAGE, 3) != 0 {
                signal(number, 0);
                return;
            }
        }
        swap(PLACE.load(SeqCst), WORD.load(SeqCst));
    }

    /// The word at place, replaced.
    pub fn swap(place: usize, word: u64) -> u64 {
        // SAFETY: a word of the test's heap, which only this thread uses.
        unsafe { AtomicU64::from_ptr(place as *mut u64) }.swap(word, SeqCst)
    }

    /// Runs call, during which the word at place, in the page of the object's header, becomes this
    /// one.
    pub fn during<R>(object: usize, place: usize, word: u64, call: impl FnOnce() -> R) -> R {
        let _one = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let page = (object - 8) & !(PAGE - 1);
        PLACE.store(place, SeqCst);
        WORD.store(word, SeqCst);
        PROTECTED.store(page, SeqCst);
        // SAFETY: a page of the test's heap, of which reads go on and the first write is seen to.
        let before = unsafe {
            let before = signal(SIGSEGV, written as *const () as usize);
            assert_eq!(mprotect(page, PAGE, 1), 0);
            before
        };
        let result = call();
        // SAFETY: as before.
        unsafe { signal(SIGSEGV, before) };
        assert_eq!(PROTECTED.load(SeqCst), 0, "it came to a claim");
        result
    }
}

/// Where objects in transit end: the label is the last word.
fn end_of<T: ?Sized>(heap: &Heap, handle: Handle<T>, object: usize) -> usize {
    let all = heap.in_transit().unwrap();
    object + all.iter().find(|sent| sent.handle == handle.cast()).unwrap().len as usize
}

#[test]
fn a_claim_of_another_count_is_undone() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let slice = heap.boxed_slice(&[7u64; 8]).unwrap();
    let place = slice.as_ptr() as usize;
    let handle = slice.send().unwrap();
    let count = end_of(&heap, handle, place) - 16;
    assert!(matches!(
        gone_round::during(place, count, 2, || heap.receive(handle).map(drop)),
        Err(Error::Stale)
    ));
    assert_eq!(gone_round::swap(count, 8), 2);
    assert!(matches!(gone_round::during(place, count, 2, || heap.take(handle)), Err(Error::Stale)));
    assert_eq!(gone_round::swap(count, 8), 2);
    assert_eq!(*heap.receive(handle).unwrap(), [7; 8]);
    assert_eq!(heap.stats().unwrap().used_blocks, 0);
}

#[test]
fn a_claim_of_what_is_no_value_is_undone() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let slice = heap.boxed_slice(&[true; 8]).unwrap();
    let place = slice.as_ptr() as usize;
    let handle = slice.send().unwrap();
    let bad = 0x0101_0301_0101_0101;
    for _ in 0..2 {
        let refused = gone_round::during(place, place, bad, || heap.receive(handle).map(drop));
        assert!(matches!(refused, Err(Error::NotAValue { index: 5, .. })), "{refused:?}");
        gone_round::swap(place, 0x0101_0101_0101_0101);
        let refused = gone_round::during(place, place, bad, || heap.take(handle).map(drop));
        assert!(matches!(refused, Err(Error::NotAValue { index: 5, .. })), "{refused:?}");
        gone_round::swap(place, 0x0101_0101_0101_0101);
    }
    assert_eq!(*heap.receive(handle).unwrap(), [true; 8]);
    let text = heap.boxed_str("12345678").unwrap();
    let place = text.as_ptr() as usize;
    let handle = text.send().unwrap();
    let refused = gone_round::during(place, place, u64::MAX, || heap.receive(handle).map(drop));
    assert!(matches!(refused, Err(Error::NotUtf8 { valid_up_to: 0 })), "{refused:?}");
    assert!(heap.discard(handle.cast()).is_ok());
    assert_eq!(heap.stats().unwrap().used_blocks, 0);
}

/// The copy is of the object that is freed.
#[test]
fn what_is_taken_is_what_was_claimed() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let boxed = heap.boxed(1u64).unwrap();
    let place = &raw const *boxed as usize;
    let handle = boxed.send().unwrap();
    assert_eq!(gone_round::during(place, place, 2, || heap.take(handle)).unwrap(), 2);
}

#[test]
fn a_claim_of_another_label_is_undone() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let boxed = heap.boxed([1u64; 8]).unwrap();
    let place = boxed.as_ptr() as usize;
    let handle = boxed.send().unwrap();
    let label = end_of(&heap, handle, place) - 8;
    let inside = u64::from_le_bytes(*b"shmheapi");
    type Try = fn(&Heap, Handle<[u64; 8]>) -> Result<(), Error>;
    let tries: [Try; 4] = [
        |heap, handle| heap.receive(handle).map(drop),
        |heap, handle| heap.take(handle).map(drop),
        |heap, handle| heap.discard(handle.cast()),
        |heap, handle| heap.receive_bytes(handle.cast()).map(drop),
    ];
    for refused in tries {
        let right = gone_round::swap(label, 0);
        gone_round::swap(label, right);
        let refused = gone_round::during(place, label, inside, || refused(&heap, handle));
        assert!(matches!(refused, Err(Error::Stale | Error::WrongType { .. })), "{refused:?}");
        assert_eq!(gone_round::swap(label, right), inside);
    }
    assert_eq!(*heap.receive(handle).unwrap(), [1; 8]);
}

/// Where the object of a handle lies, of a heap of which one handle's place is known.
fn place_of(bits: u64, known: (u64, usize)) -> usize {
    let granule = |bits: u64| (bits & ((1 << 36) - 1)) as usize;
    known.1.wrapping_add(granule(bits).wrapping_sub(granule(known.0)).wrapping_mul(16))
}

#[test]
fn a_claim_of_another_share_is_undone() {
    let heap = Heap::options().size(1 << 16).alignment(16).anonymous().unwrap();
    let boxed = heap.boxed(0u64).unwrap();
    let place = &raw const *boxed as usize;
    let known = (boxed.send().unwrap().bits(), place);
    let (first, second) = (heap.arc([1u64; 4]).unwrap(), heap.arc([2u64; 4]).unwrap());
    let (share, other) = (first.share().unwrap(), second.share().unwrap());
    let names = |share: ArcHandle<[u64; 4]>| {
        let place = place_of(share.bits(), known);
        end_of(&heap, Handle::<()>::from_bits(share.bits()), place) - 24
    };
    let (mine, theirs) = (gone_round::swap(names(share), 0), gone_round::swap(names(other), 0));
    gone_round::swap(names(share), mine);
    gone_round::swap(names(other), theirs);
    let (object, word) = (place_of(share.bits(), known), names(share));
    let refused = gone_round::during(object, word, theirs, || heap.receive_arc(share).map(drop));
    assert!(matches!(refused, Err(Error::Stale)), "{refused:?}");
    gone_round::swap(word, mine);
    assert_eq!(*heap.receive_arc(share).unwrap(), [1; 4]);
    assert_eq!(*heap.receive_arc(other).unwrap(), [2; 4]);
}

/// Reaping has seen an object without shares; another one, in use, has its place and its handle
/// when it is claimed.
#[test]
fn what_is_in_use_is_not_reaped() {
    let heap = Heap::options().size(1 << 16).alignment(16).anonymous().unwrap();
    // Apart from the heap's own pages, to which reaping writes before.
    let _before = heap.boxed_slice(&[0u8; 1 << 13]).unwrap();
    let boxed = heap.boxed(0u64).unwrap();
    let place = &raw const *boxed as usize;
    let known = (boxed.send().unwrap().bits(), place);
    let arc = heap.arc([1u64; 4]).unwrap();
    let inside = arc.as_ptr() as usize - 32;
    let share = arc.share().unwrap();
    drop(arc);
    let ticket = place_of(share.bits(), known);
    let names = end_of(&heap, Handle::<()>::from_bits(share.bits()), ticket) - 24;
    let named = gone_round::swap(names, 0); // no share names it
    let word = gone_round::swap(inside, 1);
    gone_round::swap(inside, word);
    let other = word.wrapping_add(7 << 32);
    assert_eq!(gone_round::during(inside, inside, other, || heap.reap().unwrap().arcs), 0);
    assert_eq!(gone_round::swap(inside, word), other);
    gone_round::swap(names, named);
    assert_eq!(*heap.receive_arc(share).unwrap(), [1; 4]);
}

/// Two objects never begin with the same word.
#[test]
fn each_share_has_a_version_of_its_own() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let words: std::collections::BTreeSet<u64> = (0..1000)
        .map(|_| {
            let arc = heap.arc([1u64; 4]).unwrap();
            let word = arc.as_ptr() as usize - 32;
            let first = gone_round::swap(word, 0);
            gone_round::swap(word, first);
            first
        })
        .collect();
    assert_eq!(words.len(), 1000);
}
