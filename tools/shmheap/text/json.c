/* json.c: output for programs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/text/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/shmheap/command_line/say.h"

void json_set_count(json_t *object, const char *key, uint64_t value)
{
    /* Most readers of JSON keep integers in 64 signed bits. */
    json_object_set_new(object, key,
                        json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value));
}

void json_set_text(json_t *object, const char *key, const char *value)
{
    json_t *text = json_string(value);
    if (!text) {
        char *ascii = strdup(value);
        for (char *at = ascii; at && *at; at++)
            if ((unsigned char)*at >= 0x80)
                *at = '?';
        text = json_string(ascii ? ascii : "");
        free(ascii);
    }
    json_object_set_new(object, key, text);
}

void json_set_flag(json_t *object, const char *key, int value)
{
    json_object_set_new(object, key, json_boolean(value));
}

int json_show(json_t *value)
{
    int failed = !value || json_dumpf(value, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) ||
                 putchar('\n') == EOF || fflush(stdout);
    json_decref(value);
    return failed ? fail("cannot write to standard output") : 0;
}
