/* similar.c: which of several words a mistyped word may mean.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/command_line/similar.h"

#include <string.h>

enum { MOST = 30, FAR = 1000 };

static int least(int a, int b) { return a < b ? a : b; }

/* The distance of Damerau and Levenshtein, optimal string alignment. cell[i][j]: of the first i
 * letters of one and the first j of two. */
int similar_distance(const char *one, const char *two)
{
    int cell[MOST + 1][MOST + 1], m = (int)strnlen(one, MOST + 1), n = (int)strnlen(two, MOST + 1);
    if (m > MOST || n > MOST)
        return FAR;
    for (int i = 0; i <= m; i++)
        for (int j = 0; j <= n; j++) {
            if (i == 0 || j == 0) {
                cell[i][j] = i + j;
                continue;
            }
            int replaced = cell[i - 1][j - 1] + (one[i - 1] != two[j - 1]);
            cell[i][j] = least(replaced, 1 + least(cell[i - 1][j], cell[i][j - 1]));
            if (i > 1 && j > 1 && one[i - 1] == two[j - 2] && one[i - 2] == two[j - 1])
                cell[i][j] = least(cell[i][j], cell[i - 2][j - 2] + 1);
        }
    return cell[m][n];
}

int similar_is_near(const char *word, int distance)
{
    int most = (int)strlen(word) / 3;
    return distance <= (most < 1 ? 1 : most);
}
