/* similar.h: which of several words a mistyped word may mean.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_SIMILAR_H
#define SHMHEAP_TOOL_SIMILAR_H

/* similar_distance is the least number of letters to insert, delete, replace or swap with their
 * neighbour, that makes one word of the other; a large number for words of more than 30 bytes. */
int similar_distance(const char *one, const char *two);

/* similar_is_near is true if a distance is small enough for a suggestion: at most a third of the
 * word's letters, and at least one. */
int similar_is_near(const char *word, int distance);

#endif
