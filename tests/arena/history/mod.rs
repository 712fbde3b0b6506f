//! What went wrong in other arenas, with the numbers of the public issues and advisories, and the
//! tests here that would turn red.
//!
//! - A closure's own allocation gets the slot that is being filled (rust#67001, typed-arena#63,
//!   bump-scope#35). Here: `reentry::user_code_may_use_the_arena_in_every_form`.
//! - An error rewinds over what the closure allocated (stumpalo's `try_fill_with`). Here: the
//!   same; `closures::a_failed_closure_that_allocated_keeps_what_it_allocated`.
//! - A fresh chunk is left full after an error, so that each retry doubles (bumpalo#314, #322).
//!   Here: `reentry::failing_again_and_again_takes_nothing_more`.
//! - A panic in a predicate: invalid UTF-8, values dropped twice (bumpalo#302 and 3.20.3,
//!   RUSTSEC-2021-0040, RUSTSEC-2021-0052). Here: `reentry`;
//!   `blocks::a_retain_that_panics_leaves_an_empty_vector`;
//!   `values::a_drop_that_panics_spares_the_others`.
//! - Values dropped twice or not at all when a panic passes (bump-scope 0.11 to 1.0). Here:
//!   `handles::owned_values_are_dropped_while_unwinding`.
//! - Handles swapped: two owners, or a rewind of the wrong arena (bump-scope#35, #134, 2.4.1).
//!   Here: `handles::swapped_arenas_keep_their_values_and_their_pages` and its neighbours;
//!   scopes: refusals.md.
//! - A forgotten guard leaves the arena corrupted (stumpalo's `with_scope`). Here:
//!   `handles::forgotten_scopes_end_all_the_same` and its neighbours;
//!   `values::a_forgotten_session_costs_a_chunk_and_nothing_else`.
//! - Pinned values freed undropped (bumpalo#186). Here: refusals.md: no `Pin` is made
//!   of a box.
//! - Zero-sized values write to a shared static (bumpalo#289, oxc#18186, bump-scope 2.4.1). Here:
//!   `handles::zero_sized_values_touch_no_memory`, `handles::fresh_arenas_in_two_threads`.
//! - `Send` or `Sync` lost or gained (bumpalo 3.20.0, bump-scope 2.3.3, RUSTSEC-2020-0136,
//!   RUSTSEC-2020-0142). Here: `handles::auto_traits_of_every_type`; refusals.md.
//! - An arena sent away with values that are bound to its thread (blink-alloc's `put`). Here:
//!   `handles::owned_values_go_to_another_thread`; refusals.md.
//! - A type that lost the arena's lifetime, or was given any (RUSTSEC-2022-0078,
//!   RUSTSEC-2019-0015, oxc#23685). Here: refusals.md; `handles::lifetimes_shrink`.
//! - Growth read past the old block (RUSTSEC-2020-0006). Here:
//!   `extremes::growing_copies_the_old_bytes_and_no_more`.
//! - Shrinking copied overlapping ranges as if they were not (bumpalo#232). Here:
//!   `extremes::shrinking_to_a_better_alignment`.
//! - An outer scope's block grown in place inside an inner one (GHSA-xhx6-q96x-pf9c). Here:
//!   `extremes::blocks_of_an_outer_scope_grow_inside_an_inner_one`;
//!   `scopes::a_block_of_an_outer_scope_never_resizes_in_place`.
//! - Capacity taken for length (bumpalo#330, #335). Here: `extremes::capacity_is_not_length`.
//! - Zeroed growth left bytes that were not (bumpalo#321, RUSTSEC-2025-0042). Here:
//!   `blocks::zeroed_blocks_are_zero_whatever_happened_before`.
//! - Sizes near `isize::MAX` overflow, or are tried for ever (bumpalo 3.0 and 3.12.1, oxc#21745,
//!   #21777). Here: `extremes::sizes_near_the_largest_through_every_door`.
//! - A limit below the capacity is no limit (bumpalo#244). Here:
//!   `chunks::limits_below_at_and_above_the_capacity`;
//!   `extremes::a_first_capacity_counts_against_the_limit`.
//! - An endless loop when the next kept chunk is too small (bump-scope#127). Here:
//!   `extremes::kept_chunks_that_are_too_small`.
//! - A chunk freed with another layout, or freed and kept (bumpalo 2.4.3, zig#15985). Here:
//!   `extremes::rounds_of_mixed_sizes_give_back_what_they_took`.
//! - Pages at odd places and of odd lengths (bump-scope#32 and 0.17.3, RUSTSEC-2020-0040). Here:
//!   `extremes::odd_page_sources`; `chunks::every_mapping_may_fail`.
//! - References over what was handed out, pointers with too little provenance (typed-arena#55,
//!   #62, bumpalo#187, #247, #248). Here: all of these under Miri.

mod extremes;
mod handles;
mod reentry;
