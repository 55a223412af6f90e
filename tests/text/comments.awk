# comments.awk: prints the text of comments as FILE:LINE:TEXT, and all of Markdown but its listings.
# KIND=... before the files of a kind says what they are written in: c, rust, fortran, hash or markdown.

function say(text) { if (text ~ /[^[:space:]]/) print FILENAME ":" FNR ":" text }

FNR == 1 { inside = listing = 0; close_mark = "" }

KIND == "markdown" {
    if ($0 ~ /^[ \t]*(```|~~~)/) listing = !listing
    else if (!listing) say($0)
    next
}

# A comment of the kinds below that began on an earlier line.
inside {
    at = index($0, close_mark)
    if (!at) { say($0); next }
    say(substr($0, 1, at - 1))
    inside = 0
    $0 = substr($0, at + length(close_mark))
}

KIND == "c" || KIND == "rust" {
    rest = $0
    while (match(rest, /"([^"\\]|\\.)*"?|'(\\.[^']*|[^'\\])'|\/\/|\/\*/)) {
        token = substr(rest, RSTART, RLENGTH)
        rest = substr(rest, RSTART + RLENGTH)
        if (token == "//") { say(rest); next }
        if (token == "/*") {
            at = index(rest, "*/")
            if (!at) { say(rest); inside = 1; close_mark = "*/"; next }
            say(substr(rest, 1, at - 1))
            rest = substr(rest, at + 2)
        }
    }
}

KIND == "fortran" {
    rest = $0
    while (match(rest, /"[^"]*"?|'[^']*'?|!/)) {
        token = substr(rest, RSTART, RLENGTH)
        rest = substr(rest, RSTART + RLENGTH)
        if (token == "!") { say(rest); next }
    }
}

# Shell, Python, BUILD files and the like; a text between """ and """ is a comment too.
KIND == "hash" {
    at = index($0, "\"\"\"")
    if (at && $0 !~ /^[^"]*#/) {
        rest = substr($0, at + 3)
        at = index(rest, "\"\"\"")
        if (!at) { say(rest); inside = 1; close_mark = "\"\"\"" }
        else say(substr(rest, 1, at - 1))
        next
    }
    if (FNR == 1 && /^#!/) next
    if (match($0, /(^|[ \t])#/)) say(substr($0, RSTART + RLENGTH))
}
