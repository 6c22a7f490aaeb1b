#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: each option that the program knows stands in holdstill(8), in its
# synopsis and its text, and in the bash completion, and the other way round;
# so do the commands.  Usage: options.sh [TREE]
set -u
cd "${1:-$(dirname "$0")/../..}" || exit 1
man=man/holdstill.8
failed=0

# A table of options, one "NAME" or "NAME=" (it takes a value) a line.
table() {
	sed -n "/struct cli_option $1\[\] = {/,/^};/p" "$2" | tr -d '\n' |
		sed 's/{ "/\n{ "/g' |
		sed -n -e 's/^{ "\([a-z-]*\)",[^,]*, *NULL,.*/\1/p' \
			-e 's/^{ "\([a-z-]*\)",[^,]*, *".*/\1=/p' | sort
}
names() { tr -d = | sort -u; }

# The options named by macros between two patterns of the manual page.
man_options() {
	grep -o 'Fl -[a-z-]*' | sed 's/Fl -//' | grep . | sort -u
}
# Of the synopsis: the blocks of a command; each begins with .Nm.
synopsis() {
	sed -n '/^\.Sh SYNOPSIS/,/^\.Sh DESCRIPTION/p' "$man" | awk -v c="$1" '
		/^\.(Nm|Sh)/ { if (ours) printf "%s", block; block = ""; ours = 0 }
		{ block = block $0 "\n" }
		$1 == ".Cm" && $2 == c { ours = 1 }'
}
# Of the text: the item of a command, or the items of its verbs.
text() {
	sed -n '/^\.Sh COMMANDS/,/^\.Sh EXIT/p' "$man" | awk -v c="$1" '
		/^\.Bl/ { depth++ }
		/^\.El/ { depth-- }
		depth == 1 && /^\.It Cm/ { ours = ($3 == c) }
		ours { print }'
}

# same WHAT WANTED GOT: the two lists are the same.
same() {
	local less more
	less=$(comm -23 <(echo "$2") <(echo "$3") | xargs)
	more=$(comm -13 <(echo "$2") <(echo "$3") | xargs)
	[[ -n $less ]] && echo "$1 lacks: $less" && failed=1
	[[ -n $more ]] && echo "$1 has what the program does not: $more" &&
		failed=1
}

_holdstill_commands='' _holdstill_global='' values=''
# shellcheck source=/dev/null
. packaging/holdstill.bash
commands=
for file in agent/cli/cmd_*.c; do
	command=$(sed -n 's/^\t\.name = "\([a-z]*\)",$/\1/p' "$file")
	commands+="$command "
	known=$(table options "$file")
	same "$man: synopsis of $command" "$(names <<<"$known")" \
		"$(synopsis "$command" | man_options)"
	missing=$(comm -23 <(names <<<"$known") \
		<(text "$command" | man_options) | xargs)
	[[ -n $missing ]] && failed=1 &&
		echo "$man: the text of $command lacks: $missing"
	# A command of verbs offers some only behind one.
	offered=$(for verb in '' freeze-test; do
		_holdstill_options "$command" "$verb"
	done | xargs -n 1 printf '%s\n' | sed -n 's/^--//p' | sort -u)
	same "completion of $command" "$(names <<<"$known")" "$offered"
	values+=$known$'\n'
done
commands=$(xargs -n 1 printf '%s\n' <<<"$commands" | sort)
same "completion's commands" "$commands" \
	"$(xargs -n 1 printf '%s\n' <<<"$_holdstill_commands" | sort)"
same "$man: synopsis' commands" "$commands" \
	"$(sed -n '/^\.Sh SYN/,/^\.Sh DESC/s/^\.Cm \([a-z]*\).*/\1/p' "$man" |
		sort -u)"

known=$(table global_options agent/cli/options.c)
values+=$known
same "$man: GLOBAL OPTIONS" "$(names <<<"$known")" \
	"$(sed -n '/^\.Sh GLOBAL/,/^\.Sh COMM/s/^\.It //p' "$man" | man_options)"
same "completion's global options" "$(names <<<"$known")" \
	"$(xargs -n 1 printf '%s\n' <<<"$_holdstill_global" | sed -n 's/^--//p' | sort)"

# An option with a value is not followed by a point.
while read -r option; do
	[[ $option == define ]] && continue # May have one.
	_holdstill_value "--$option" "" && continue
	echo "completion knows no value of --$option"
	failed=1
done < <(sort -u <<<"$values" | sed -n 's/=$//p')
exit "$failed"
