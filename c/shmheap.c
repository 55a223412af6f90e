/* shmheap.c: the whole core as one file: cc -O2 -Ic/include program.c c/shmheap.c.
 * SPDX-License-Identifier: Apache-2.0
 *
 * tools/single_file DIR writes a copy of this file that needs shmheap.h alone, for programs that
 * carry the library among their own sources.
 *
 * The files come in the order of src/LADDER, the lowest level first. So a name that is static in
 * one of them may not be static in another one. Add a new file in its place here;
 * //tests/install:single_file_test names the one that is missing. */
#if defined(__cplusplus)
#error "shmheap.c is C: compile it with a C compiler (cc -c shmheap.c), and link shmheap.o"
#endif
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif

#include "src/base/error.c"
#include "src/os/pause.c"
#include "src/os/process.c"
#include "src/os/file.c"
#include "src/os/memory.c"
#include "src/os/topology.c"
#include "src/os/liveness.c"
#include "src/segment/connection.c"
#include "src/segment/huge.c"
#include "src/segment/parts.c"
#include "src/segment/heap_file.c"
#include "src/segment/reserve.c"
#include "src/segment/segment.c"
#include "src/process/lock.c"
#include "src/process/slot.c"
#include "src/process/wait.c"
#include "src/process/slot_claim.c"
#include "src/block/bits.c"
#include "src/free_set/size_bins.c"
#include "src/free_set/large_tree.c"
#include "src/free_set/index.c"
#include "src/free_set/aligned_search.c"
#include "src/free_set/free_set.c"
#include "src/heap/fit_portable.c"
#include "src/heap/fit_choose.c"
#include "src/heap/grow.c"
#include "src/names/record.c"
#include "src/names/table.c"
#include "src/names/users.c"
#include "src/names/names.c"
#include "src/names/departed.c"
#include "src/recovery/recover.c"
#include "src/cache/cache.c"
#include "src/cache/reclaim.c"
#include "src/cache/sort.c"
#include "src/cache/stacks.c"
#include "src/cache/refill.c"
#include "src/cache/threads.c"
#include "src/inspect/check.c"
#include "src/inspect/image.c"
#include "src/inspect/inspect.c"
#include "src/inspect/copy.c"
#include "src/ownership/ownership.c"
#include "src/ownership/reap.c"
#include "src/connect/options.c"
#include "src/connect/register.c"
#include "src/connect/fork.c"
#include "src/connect/make.c"
#include "src/connect/connect.c"
#include "src/errors/error_rows.c"
#include "src/errors/error_text.c"
#include "src/api/call.c"
#include "src/api/shortage.c"
#include "src/api/open.c"
#include "src/api/alloc.c"
#include "src/api/alloc_more.c"
#include "src/api/free.c"
#include "src/api/realloc.c"
#include "src/api/handles.c"
#include "src/api/named.c"
#include "src/api/inspection.c"

/* First fit for AVX2. Its headers are compiled a second time, so their functions need second
 * names, and their guards go. A missing line is a compiler error: a redefinition. */
#if defined(__x86_64__)
#undef SHMHEAP_BITS_H
#undef SHMHEAP_VECTOR_H
#undef SHMHEAP_FREE_LIST_H
#undef SHMHEAP_SIZE_BINS_H
#undef SHMHEAP_LARGE_TREE_H
#undef SHMHEAP_BINNED_SET_H
#undef SHMHEAP_FREE_SET_H
#undef SHMHEAP_FIRST_FIT_H
#undef SHMHEAP_CARVE_H
#undef SHMHEAP_ALIGNED_H
#undef SHMHEAP_RESIZE_H
#define above_of_16 avx2_above_of_16
#define above_of_32 avx2_above_of_32
#define above_of_64 avx2_above_of_64
#define alloc_aligned_anywhere avx2_alloc_aligned_anywhere
#define alloc_in avx2_alloc_in
#define at_least_0 avx2_at_least_0
#define bin_word avx2_bin_word
#define binned_another avx2_binned_another
#define binned_before avx2_binned_before
#define binned_behind avx2_binned_behind
#define binned_find avx2_binned_find
#define binned_find_any avx2_binned_find_any
#define binned_find_best avx2_binned_find_best
#define binned_find_exact avx2_binned_find_exact
#define binned_find_large avx2_binned_find_large
#define binned_find_small avx2_binned_find_small
#define binned_is_large avx2_binned_is_large
#define binned_maybe avx2_binned_maybe
#define binned_of_size avx2_binned_of_size
#define binned_put avx2_binned_put
#define binned_put_large avx2_binned_put_large
#define binned_shrink avx2_binned_shrink
#define binned_shrink_large avx2_binned_shrink_large
#define binned_take avx2_binned_take
#define binned_take_large avx2_binned_take_large
#define bins_clear avx2_bins_clear
#define bins_first avx2_bins_first
#define bins_next avx2_bins_next
#define bins_put avx2_bins_put
#define bins_reach avx2_bins_reach
#define bins_take avx2_bins_take
#define bins_take_first avx2_bins_take_first
#define bit_lowest_or_64 avx2_bit_lowest_or_64
#define bit_of avx2_bit_of
#define bits_above_or_64 avx2_bits_above_or_64
#define bits_below avx2_bits_below
#define bits_is_boundary avx2_bits_is_boundary
#define bits_is_free_start avx2_bits_is_free_start
#define bits_is_start avx2_bits_is_start
#define bits_live_header avx2_bits_live_header
#define bits_size avx2_bits_size
#define bits_span avx2_bits_span
#define bits_span_back avx2_bits_span_back
#define boundary_clear avx2_boundary_clear
#define boundary_clear_if avx2_boundary_clear_if
#define boundary_set avx2_boundary_set
#define boundary_set_if avx2_boundary_set_if
#define carve avx2_carve
#define carve_many avx2_carve_many
#define carve_one avx2_carve_one
#define chunk_of avx2_chunk_of
#define chunk_of_first avx2_chunk_of_first
#define count_blocks avx2_count_blocks
#define count_taken avx2_count_taken
#define count_used avx2_count_used
#define equal_of_32 avx2_equal_of_32
#define equal_of_4 avx2_equal_of_4
#define find_best avx2_find_best
#define find_first avx2_find_first
#define first_of_bins avx2_first_of_bins
#define first_of_chunk avx2_first_of_chunk
#define fit_alloc avx2_fit_alloc
#define fit_alloc_aligned avx2_fit_alloc_aligned
#define fit_alloc_best avx2_fit_alloc_best
#define fit_alloc_many avx2_fit_alloc_many
#define fit_free avx2_fit_free
#define fit_free_span avx2_fit_free_span
#define fit_resize avx2_fit_resize
#define free_in avx2_free_in
#define free_set_behind avx2_free_set_behind
#define free_set_check avx2_free_set_check
#define free_set_extend_top avx2_free_set_extend_top
#define free_set_find avx2_free_set_find
#define free_set_find_aligned avx2_free_set_find_aligned
#define free_set_find_best avx2_free_set_find_best
#define free_set_form avx2_free_set_form
#define free_set_has avx2_free_set_has
#define free_set_insert avx2_free_set_insert
#define free_set_is_list avx2_free_set_is_list
#define free_set_merge avx2_free_set_merge
#define free_set_merge_binned avx2_free_set_merge_binned
#define free_set_merge_list avx2_free_set_merge_list
#define free_set_merge_top avx2_free_set_merge_top
#define free_set_neighbours avx2_free_set_neighbours
#define free_set_settle avx2_free_set_settle
#define free_set_shrink avx2_free_set_shrink
#define free_set_shrink_top avx2_free_set_shrink_top
#define front_taken avx2_front_taken
#define generation_catch_up avx2_generation_catch_up
#define greater_of avx2_greater_of
#define greatest_everywhere avx2_greatest_everywhere
#define greatest_of avx2_greatest_of
#define header_held avx2_header_held
#define header_used avx2_header_used
#define bits_size_checked avx2_bits_size_checked
#define list_at avx2_list_at
#define list_before avx2_list_before
#define list_behind avx2_list_behind
#define list_count avx2_list_count
#define list_drop avx2_list_drop
#define list_entry avx2_list_entry
#define list_find avx2_list_find
#define list_find_aligned avx2_list_find_aligned
#define list_find_best avx2_list_find_best
#define list_granule avx2_list_granule
#define list_in_use avx2_list_in_use
#define list_insert avx2_list_insert
#define list_largest avx2_list_largest
#define list_number avx2_list_number
#define list_place avx2_list_place
#define list_place_before avx2_list_place_before
#define list_set avx2_list_set
#define list_shrink avx2_list_shrink
#define list_size avx2_list_size
#define load_4 avx2_load_4
#define load_8 avx2_load_8
#define maximum_of_size avx2_maximum_of_size
#define move_8 avx2_move_8
#define node_at_least avx2_node_at_least
#define node_maximum avx2_node_maximum
#define node_maximum_without avx2_node_maximum_without
#define numbers_drop avx2_numbers_drop
#define numbers_insert avx2_numbers_insert
#define ones_of_16 avx2_ones_of_16
#define resize_publish avx2_resize_publish
#define resized avx2_resized
#define span_free avx2_span_free
#define span_of avx2_span_of
#define start_clear avx2_start_clear
#define start_set avx2_start_set
#define starts_set avx2_starts_set
#define sum_of_8 avx2_sum_of_8
#define sums_of_32 avx2_sums_of_32
#define sums_of_64 avx2_sums_of_64
#define take_aligned avx2_take_aligned
#define take_aligned_at avx2_take_aligned_at
#define take_front avx2_take_front
#define take_middle avx2_take_middle
#define take_top avx2_take_top
#define top_is_sound avx2_top_is_sound
#define top_load avx2_top_load
#define top_taken avx2_top_taken
#define tree_find avx2_tree_find
#define tree_level_for avx2_tree_level_for
#define tree_put avx2_tree_put
#define tree_reaches avx2_tree_reaches
#define tree_store_entry avx2_tree_store_entry
#define tree_store_if_more avx2_tree_store_if_more
#define tree_store_less avx2_tree_store_less
#define tree_store_more avx2_tree_store_more
#if defined(__clang__)
/* The headers declare functions again that are defined above, without those instructions; and not
 * every second function has a user. */
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wignored-attributes"
#pragma clang diagnostic ignored "-Wunused-function"
#endif
#include "src/heap/fit_avx2.c"
#if defined(__clang__)
#pragma clang diagnostic pop
#endif
#endif
