//! What tests/assembly/main.rs compiles and reads: each function is one form, under a name of its
//! own.

use flagstone::Arena;

/// One word, in a register.
#[unsafe(no_mangle)]
pub fn probe_word(arena: &Arena, value: u64) -> &u64 {
    arena.alloc(value)
}

/// Three words, from memory.
#[unsafe(no_mangle)]
pub fn probe_three<'a>(arena: &'a Arena, value: &[u64; 3]) -> &'a [u64; 3] {
    arena.alloc(*value)
}

/// Six words, from memory.
#[unsafe(no_mangle)]
pub fn probe_six<'a>(arena: &'a Arena, value: &[u64; 6]) -> &'a [u64; 6] {
    arena.alloc(*value)
}

/// A list of two words per node.
pub struct Node<'a> {
    pub next: Option<&'a Node<'a>>,
    pub value: u64,
}

/// Builds a list in a session.
#[unsafe(no_mangle)]
pub fn probe_session(arena: &Arena, count: u64) -> Option<&Node<'_>> {
    let mut session = arena.session();
    let mut list = None;
    for value in 0..count {
        list = Some(&*session.alloc(Node { next: list, value }));
    }
    list
}
