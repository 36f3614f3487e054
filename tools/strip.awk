# SPDX-License-Identifier: MIT
# Prints "file TAB line TAB code" for every line of C that is left when comments go and the insides of string
# and character literals are blanked, so that the checkers that read it see code and nothing else. #include
# lines keep their names. Used by layers.sh and style.sh.
BEGIN {
    comment = "/[*/]"
    comment_or_literal = "/[*/]|[\"']"
}
FNR == 1 {
    in_comment = 0
}
{
    line = $0
    out = ""
    keep = !in_comment && line ~ /^[ \t]*#[ \t]*include/
    while (line != "") {
        if (in_comment) {
            at = index(line, "*/")
            if (at == 0)
                break
            line = substr(line, at + 2)
            in_comment = 0
            out = out " "
            continue
        }
        if (!match(line, keep ? comment : comment_or_literal)) {
            out = out line
            break
        }
        found = substr(line, RSTART, RLENGTH)
        out = out substr(line, 1, RSTART - 1)
        line = substr(line, RSTART + RLENGTH)
        if (found == "//")
            break
        if (found == "/*") {
            in_comment = 1
            continue
        }
        # A literal: skip escaped characters up to the closing quote.
        while (line != "" && substr(line, 1, 1) != found)
            line = substr(line, substr(line, 1, 1) == "\\" ? 3 : 2)
        line = substr(line, 2)
        out = out found found
    }
    if (out ~ /[^ \t]/)
        printf "%s\t%d\t%s\n", FILENAME, FNR, out
}
