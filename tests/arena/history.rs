//! What went wrong in other arenas, one test per bug; numbers are those of public issues and
//! advisories.
//!
//! | what went wrong | reported in | tested here by |
//! |---|---|---|
//! | a closure's own allocation gets the slot that is being filled | rust#67001, typed-arena#63, bump-scope#35 | `reentry`: `user_code_may_use_the_arena_in_every_form` |
//! | an error rewinds over what the closure allocated | stumpalo, `try_fill_with` | the same, and `a_failed_closure_that_allocated_keeps_what_it_allocated` |
//! | a fresh chunk is left full after an error, so each retry doubles | bumpalo#314, #322 | `reentry`: `failing_again_and_again_claims_nothing_more` |
//! | a panic in a predicate: invalid UTF-8, values dropped twice | bumpalo#302, 3.20.3; arenavec (RUSTSEC-2021-0040); id-map (RUSTSEC-2021-0052) | the re-entry matrix, `a_retain_that_panics_leaves_an_empty_vector`, `a_drop_that_panics_spares_the_others` |
//! | values dropped twice, or not at all, when a drop panics | bump-scope 0.11 to 1.0, blink-alloc | `handles`: `owned_values_are_dropped_while_unwinding`, `values.rs` |
//! | handles swapped: two owners, or a rewind of the wrong arena | bump-scope#35, #134, 2.4.1 `by_value` | `handles`: `swapped_…`; scopes: refusals.rs |
//! | a forgotten guard leaves the arena corrupted | stumpalo `with_scope` | `handles`: `forgotten_…`, `a_forgotten_session_costs_a_chunk_and_nothing_else` |
//! | pinned values freed undropped | bumpalo#186 | refusals.rs: no `Pin` from a box |
//! | zero-sized values write to a shared static | bumpalo#289, oxc#18186, bump-scope 2.4.1 | `handles`: `zero_sized_values_touch_no_memory`, `fresh_arenas_in_two_threads` |
//! | `Send` or `Sync` lost or gained | bumpalo 3.20.0, bump-scope 2.3.3, toolshed (RUSTSEC-2020-0136), syncpool (RUSTSEC-2020-0142), blink-alloc | `handles`: `auto_traits_of_every_type`, refusals.rs |
//! | an arena sent with values that are bound to its thread | blink-alloc | `handles`: `owned_values_go_to_another_thread`, refusals.rs |
//! | a type that lost the arena's lifetime, or was given any | RUSTSEC-2022-0078, oxc#23685, compact_arena (RUSTSEC-2019-0015) | refusals.rs; `handles`: `lifetimes_shrink` |
//! | growth read past the old block | RUSTSEC-2020-0006 | `extremes`: `growing_copies_the_old_bytes_and_no_more` |
//! | shrinking copied overlapping ranges as if they did not | bumpalo#232 | `extremes`: `shrinking_to_a_better_alignment` |
//! | growth of an outer scope's block in place inside an inner one | GHSA-xhx6-q96x-pf9c | `extremes`: `collections_of_an_outer_scope_grow_inside_an_inner_one`, `a_block_of_an_outer_scope_never_resizes_in_place` |
//! | capacity taken for length | bumpalo#330, #335 | `extremes`: `capacity_is_not_length` |
//! | zeroed growth read or left bytes that were not | bumpalo#321, static-alloc (RUSTSEC-2025-0042) | `zeroed_blocks_are_zero_whatever_happened_before` |
//! | sizes near `isize::MAX` overflow, or are tried for ever | bumpalo 3.0, 3.12.1; oxc#21745, #21777; stumpalo `with_capacity` | `extremes`: `sizes_near_the_largest_through_every_door` |
//! | a limit below the capacity is no limit | bumpalo#244 | `limits_below_at_and_above_the_capacity`, `extremes`: `a_first_capacity_counts_against_the_limit` |
//! | an endless loop when the next kept chunk is too small | bump-scope#127 | `extremes`: `kept_chunks_that_are_too_small` |
//! | a kept chunk freed with another layout, or freed and kept | bumpalo 2.4.3, zig#15985, stumpalo `clear` | `extremes`: `rounds_of_mixed_sizes_give_back_what_they_claimed` |
//! | pages of odd places and lengths | bump-scope#32, 0.17.3; obstack (RUSTSEC-2020-0040) | `extremes`: `odd_page_sources`, `every_mapping_may_fail` |
//! | references over what was handed out; pointers with too little provenance | typed-arena#55, #62; bumpalo#187, #247, #248 | all of these run under Miri |

mod extremes;
mod handles;
mod reentry;
