//! Programs that must not compile, one rule each, run as doctests.
//!
//! What a scope made cannot leave it, neither as a reference nor in a collection or a session:
//! ```compile_fail,E0515
//! flagstone::Arena::new().scope(|inner| inner.alloc_str("out"));
//! ```
//! ```compile_fail,E0515
//! flagstone::Arena::new().scope(|inner| flagstone::ArenaVec::<u8>::new_in(&inner));
//! ```
//! ```compile_fail,E0515
//! flagstone::Arena::new().scope(|inner| inner.session());
//! ```
//! ```compile_fail,E0521
//! let mut out = None;
//! flagstone::Arena::new().scope(|inner| out = Some(inner));
//! ```
//!
//! Handles of two scopes are of two types, and an inner one cannot take the place of an outer one:
//! ```compile_fail
//! let (mut one, mut two) = (flagstone::Arena::new(), flagstone::Arena::new());
//! one.scope(|mut outer| two.scope(|mut inner| std::mem::swap(&mut outer, &mut inner)));
//! ```
//! ```compile_fail,E0596
//! let mut other = flagstone::Arena::new();
//! flagstone::Arena::new().scope(|mut inner| std::mem::swap(&mut *inner, &mut other));
//! ```
//!
//! Inside a scope the arena cannot be reset, nor used from outside:
//! ```compile_fail,E0596
//! flagstone::Arena::new().scope(|mut inner| inner.reset());
//! ```
//! ```compile_fail
//! let mut arena = flagstone::Arena::new();
//! arena.scope(|_| arena.alloc(1).clone());
//! ```
//! ```compile_fail,E0502
//! let mut arena = flagstone::Arena::new();
//! let outer = arena.alloc(1);
//! arena.scope(|inner| *inner.alloc(1));
//! *outer = 2;
//! ```
//!
//! Nothing outlives a reset or the arena:
//! ```compile_fail,E0505
//! let arena = flagstone::Arena::new();
//! let text = arena.alloc_str("text");
//! drop(arena);
//! text.len();
//! ```
//! ```compile_fail,E0502
//! let mut arena = flagstone::Arena::new();
//! let vec = flagstone::ArenaVec::<u8>::new_in(&arena);
//! arena.reset();
//! vec.len();
//! ```
//! ```compile_fail,E0502
//! let mut arena = flagstone::Arena::new();
//! let mut values = { let mut v = flagstone::ArenaVec::new_in(&arena); v.push(1); v.into_iter() };
//! arena.reset();
//! values.next();
//! ```
//! ```compile_fail,E0502
//! let mut arena = flagstone::Arena::new();
//! let boxed = arena.alloc_box(1);
//! arena.reset();
//! ```
//! ```compile_fail,E0502
//! let mut arena = flagstone::Arena::new();
//! let mut session = arena.session();
//! arena.reset();
//! session.alloc(1);
//! ```
//!
//! Types that need drop are refused wherever nobody would drop them:
//! ```compile_fail
//! flagstone::Arena::new().alloc_with(String::new);
//! ```
//! ```compile_fail
//! flagstone::Arena::new().alloc_from_iter([String::new()]);
//! ```
//! ```compile_fail
//! flagstone::Arena::new().session().alloc(String::new());
//! ```
//! ```compile_fail
//! let arena = flagstone::Arena::new();
//! flagstone::ArenaVec::<String>::new_in(&arena);
//! ```
//!
//! An owned value may not borrow (it is dropped after what it borrows), nor be bound to a thread:
//! ```compile_fail,E0597
//! let arena = flagstone::Arena::new();
//! { let local = 1; arena.alloc_owned(vec![&local]); }
//! ```
//! ```compile_fail,E0277
//! flagstone::Arena::new().alloc_owned(std::rc::Rc::new(1));
//! ```
//!
//! Arenas, and what borrows them, stay on one thread:
//! ```compile_fail,E0277
//! fn sync<T: Sync>() {}
//! sync::<flagstone::Arena>();
//! ```
//! ```compile_fail,E0277
//! fn send<T: Send>() {}
//! send::<flagstone::ArenaVec<'static, u8>>();
//! ```
//! ```compile_fail,E0277
//! fn send<T: Send>() {}
//! send::<flagstone::Session<'static>>();
//! ```
//! A scope may be one of a claim, which takes its chunks from an arena that stayed behind:
//! ```compile_fail,E0277
//! let arena = flagstone::Arena::new();
//! arena.claim().scope(|inner| {
//!     std::thread::scope(|threads| {
//!         threads.spawn(move || { inner.alloc([1; 5000]); });
//!         arena.alloc([2; 5000]);
//!     });
//! });
//! ```
//! ```compile_fail,E0277
//! fn send<T: Send>() {}
//! send::<flagstone::ArenaString<'static>>();
//! ```
//! ```compile_fail,E0277
//! fn send<T: Send>() {}
//! send::<flagstone::ArenaVecDrain<'static, 'static, u8>>();
//! ```
//! ```compile_fail,E0277
//! fn send<T: Send>() {}
//! send::<flagstone::ArenaThinVec<'static, *const u8>>();
//! ```
//! ```compile_fail,E0277
//! fn sync<T: Sync>() {}
//! sync::<flagstone::ArenaThinVec<'static, std::cell::Cell<u8>>>();
//! ```
//! ```compile_fail,E0277
//! fn send<T: Send>() {}
//! send::<flagstone::ArenaBox<'static, std::rc::Rc<u8>>>();
//! ```
//! ```compile_fail,E0277
//! fn send<T: Send>() {}
//! send::<flagstone::ArenaVecIntoIter<'static, *const u8>>();
//! ```
//!
//! A box is coerced to what its value is, nothing else: not to what else lies at its address, which
//! may be somebody else's (here a token that would be dropped twice), nor to a part of the value,
//! which its type may only lend:
//! ```compile_fail,E0308
//! struct Token;
//! impl Drop for Token { fn drop(&mut self) { println!("dropped"); } }
//! fn lifetime_of<T>(_: &T) -> std::marker::PhantomData<&T> { std::marker::PhantomData }
//! let arena = flagstone::Arena::new();
//! let (mut token, local) = (Box::new(Token), 1);
//! let borrowed = &mut *token;
//! let unit = arena.alloc_box(lifetime_of(&local));
//! let stolen = flagstone::ArenaBox::coerce(unit, |_| borrowed);
//! ```
//! ```compile_fail,E0616
//! let arena = flagstone::Arena::new();
//! let lent = arena.alloc_box((String::from("a part"),));
//! let kept: flagstone::ArenaBox<String> = flagstone::ArenaBox::coerce(lent, |l| &mut l.0);
//! ```
//!
//! So a future that holds one across an await stays too; one that holds an `ArenaThinVec` may go
//! (tests/arena/thin.rs):
//! ```compile_fail
//! fn send<T: Send>(_: T) {}
//! let arenas = std::sync::Arc::new(flagstone::ArenaPool::new());
//! send(async move {
//!     let arena = arenas.get_owned();
//!     let mut list = flagstone::ArenaVec::new_in(&arena);
//!     list.push(1);
//!     async {}.await;
//!     list.push(2);
//! });
//! ```
//! ```compile_fail
//! fn send<T: Send>(_: T) {}
//! let arenas = std::sync::Arc::new(flagstone::ArenaPool::new());
//! send(async move {
//!     let guard = arenas.get_owned();
//!     let arena: &flagstone::Arena = &guard;
//!     let mut list = flagstone::ArenaThinVec::new();
//!     async {}.await;
//!     list.push(arena, 1);
//! });
//! ```
//!
//! A thin vector grows only in an arena that is borrowed as long as it lives: not in an inner scope
//! or in a stranger that goes first, and not across a reset:
//! ```compile_fail,E0521
//! let (outer, mut other) = (flagstone::Arena::new(), flagstone::Arena::new());
//! let mut list = flagstone::ArenaThinVec::from_slice_in(&[1], &outer);
//! other.scope(|inner| list.push(&inner, 2));
//! list.len();
//! ```
//! ```compile_fail,E0502
//! let mut arena = flagstone::Arena::new();
//! arena.scope(|mut outer| {
//!     let mut list = flagstone::ArenaThinVec::from_slice_in(&[1], &outer);
//!     outer.scope(|inner| list.push(&inner, 2));
//! });
//! ```
//! ```compile_fail,E0502
//! let mut arena = flagstone::Arena::new();
//! let mut list = flagstone::ArenaThinVec::from_slice_in(&[1], &arena);
//! arena.reset();
//! list.pop();
//! ```
//! ```compile_fail
//! flagstone::ArenaThinVec::<String>::new();
//! ```
//!
//! What takes values out of a collection borrows it, and what it gave does not outlive the arena:
//! ```compile_fail,E0499
//! let arena = flagstone::Arena::new();
//! let mut list = flagstone::ArenaVec::from_slice_in(&[1], &arena);
//! let drain = list.drain(..);
//! list.push(2);
//! drain.count();
//! ```
//! ```compile_fail,E0505
//! let arena = flagstone::Arena::new();
//! let text = flagstone::format_in!(arena, "{}", 1);
//! drop(arena);
//! text.len();
//! ```
//!
//! A claim holds its arena, and holds on to what it made:
//! ```compile_fail,E0502
//! let mut arena = flagstone::Arena::new();
//! let claim = arena.claim();
//! arena.reset();
//! claim.alloc(1);
//! ```
//! ```compile_fail,E0505
//! let arena = flagstone::Arena::new();
//! let claim = arena.claim();
//! let text = claim.alloc_str("text");
//! drop(claim);
//! text.len();
//! ```
//! ```compile_fail,E0502
//! let arena = flagstone::Arena::new();
//! let mut claim = arena.claim();
//! let text = claim.alloc_str("text");
//! claim.reset();
//! text.len();
//! ```
//! ```compile_fail,E0597
//! let claim;
//! let arena = flagstone::Arena::new();
//! claim = arena.claim();
//! ```
//! ```compile_fail,E0596
//! let (arena, mut other) = (flagstone::Arena::new(), flagstone::Arena::new());
//! std::mem::swap(&mut *arena.claim(), &mut other);
//! ```
//! ```compile_fail,E0277
//! fn send<T: Send>() {}
//! send::<flagstone::Claim<'static>>();
//! ```
//!
//! An arena over a buffer does not outlive it, nor can another take its place:
//! ```compile_fail,E0597
//! let arena;
//! let mut buffer = [core::mem::MaybeUninit::uninit(); 64];
//! arena = flagstone::Arena::from_buffer(&mut buffer);
//! ```
//! ```compile_fail,E0506
//! let mut buffer = [core::mem::MaybeUninit::uninit(); 64];
//! let arena = flagstone::Arena::from_buffer(&mut buffer);
//! buffer[0] = core::mem::MaybeUninit::new(1);
//! arena.alloc(1);
//! ```
//! ```compile_fail,E0596
//! let mut buffer = [core::mem::MaybeUninit::uninit(); 64];
//! let mut arena = flagstone::Arena::from_buffer(&mut buffer);
//! let mut other = flagstone::Arena::new();
//! std::mem::swap(&mut *arena, &mut other);
//! ```
//!
//! The minimum alignment is one of five:
//! ```compile_fail
//! let arena: flagstone::Arena<3> = flagstone::Arena::with_min_align();
//! ```
//! ```compile_fail
//! let arena: flagstone::Arena<32> = flagstone::Arena::with_min_align();
//! ```
