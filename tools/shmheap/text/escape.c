/* escape.c: text from a heap, made safe for a terminal, XML or HTML.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/text/escape.h"

#include <string.h>

/* The bytes of the UTF-8 sequence at text, or 0: not UTF-8, a control character of C1, a change of
 * direction, or no character of XML. */
static size_t sequence_len(const unsigned char *text)
{
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = *text < 0x80 ? 1 : *text < 0xc0 ? 0 : *text < 0xe0 ? 2 : *text < 0xf0 ? 3 : 4;
    if (len < 2 || *text > 0xf4)
        return len == 1;
    unsigned point = *text & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (text[i] & 0x3fu);
    }
    int is_unsafe = point < 0xa0 || point > 0x10ffff || (point >= 0xd800 && point < 0xe000) ||
                    (point >= 0x200e && point <= 0x200f) || (point >= 0x2028 && point <= 0x202e) ||
                    (point >= 0x2066 && point <= 0x2069) || (point & 0xfffe) == 0xfffe;
    return point < least[len] || is_unsafe ? 0 : len;
}

char *escape_printable(char *out, size_t room, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    char *end = out;
    while (*at) {
        size_t len = *at < ' ' || *at == 127 || *at == '\\' ? 0 : sequence_len(at);
        if ((size_t)(end - out) + (len ? len : 4) >= room)
            break;
        if (len) {
            memcpy(end, at, len);
        } else {
            snprintf(end, 5, "\\x%02x", *at);
        }
        end += len ? len : 4;
        at += len ? len : 1;
    }
    *end = '\0';
    return out;
}

void escape_xml(FILE *file, const char *text)
{
    for (; *text; text++)
        switch (*text) {
            case '&':
                fputs("&amp;", file);
                break;
            case '<':
                fputs("&lt;", file);
                break;
            case '>':
                fputs("&gt;", file);
                break;
            case '"':
                fputs("&quot;", file);
                break;
            case '\'':
                fputs("&#39;", file);
                break;
            default:
                putc(*text, file);
        }
}
