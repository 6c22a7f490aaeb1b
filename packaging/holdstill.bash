# SPDX-License-Identifier: Apache-2.0
# bash completion for holdstill(8).

_holdstill_commands="init backup list show restore verify repair forget
	unforget prune catalog key run guest recover"
_holdstill_global="--repo --connect --config --state-dir --passphrase-file
	--key-file --json --quiet -q --verbose -v
	--no-progress --help --version"
_holdstill_keep="--keep-last --keep-hourly --keep-daily --keep-weekly
	--keep-monthly --keep-yearly"

# The global options of this command line that say where to look.
_holdstill_where()
{
	local i
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--repo | --connect | --config | --state-dir | \
			--passphrase-file | --key-file)
			printf '%s\n%s\n' "${COMP_WORDS[i]}" \
				"${COMP_WORDS[i + 1]}"
			;;
		esac
	done
}

# Names of libvirt's domains.
_holdstill_domains()
{
	local i uri=${LIBVIRT_DEFAULT_URI:-qemu:///system}
	for ((i = 1; i < COMP_CWORD; i++)); do
		[[ ${COMP_WORDS[i]} == --connect ]] &&
			uri=${COMP_WORDS[i + 1]}
	done
	virsh -q -c "$uri" list --all --name 2>/dev/null
}

# Ids of points, and DOMAIN@latest of each domain that has some.
_holdstill_points()
{
	local where
	mapfile -t where < <(_holdstill_where)
	holdstill "${where[@]}" --json list "$@" 2>/dev/null | tr ',{' '\n' |
		sed -n -e 's/^ *"id": *"\([0-9a-f]*\)".*/\1/p' \
			-e 's/^ *"domain": *"\([^"]*\)".*/\1@latest/p' |
		sort -u
}

_holdstill_jobs()
{
	local i file=/etc/holdstill/holdstill.conf
	for ((i = 1; i < COMP_CWORD; i++)); do
		[[ ${COMP_WORDS[i]} == --config ]] && file=${COMP_WORDS[i + 1]}
	done
	sed -n 's/^\[[[:blank:]]*job[[:blank:]]\{1,\}\([^]]*[^][:blank:]]\).*/\1/p' \
		"$file" 2>/dev/null
}

# Sets command and sub to the words so far that are no options.
_holdstill_find_command()
{
	local i
	command='' sub=''
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--repo | --connect | --config | --state-dir | \
			--passphrase-file | --key-file | --label | \
			--new-passphrase-file | --new-key-file | \
			--hold | --lease | --encrypt) ((i++)) ;;
		-*) ;;
		*)
			if [[ -z $command ]]; then
				command=${COMP_WORDS[i]}
			else
				sub=${COMP_WORDS[i]}
				return
			fi
			;;
		esac
	done
}

# Completes the value of the option before the cursor; 1 if it has none.
_holdstill_value()
{
	local cur=$2
	case $1 in
	--repo | --state-dir | --scratch-dir | --to)
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		compopt -o filenames 2>/dev/null
		;;
	--config | --passphrase-file | --key-file | --new-passphrase-file | \
		--new-key-file)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		compopt -o filenames 2>/dev/null
		;;
	--require | --prefer)
		mapfile -t COMPREPLY < <(compgen -W \
			"application filesystem crash" -- "$cur")
		;;
	--compression)
		# ':' would cut "zstd:1" in two.
		mapfile -t COMPREPLY < <(compgen -W "auto none zstd" -- "$cur")
		;;
	--format)
		mapfile -t COMPREPLY < <(compgen -W "qcow2 raw" -- "$cur")
		;;
	--encrypt)
		mapfile -t COMPREPLY < <(compgen -W \
			"passphrase keyfile public-key" -- "$cur")
		;;
	--audit)
		mapfile -t COMPREPLY < <(compgen -W "no auto" -- "$cur")
		;;
	--connect | --label | --lease | --spread | --exclude-disk | --disk | \
		--sample | --hold | --limit-rate | --limit-read | --budget | \
		--max-repack | --silence | --undelete-days | --keep-*)
		COMPREPLY=()
		;;
	*)
		return 1
		;;
	esac
	return 0
}

_holdstill_options()
{
	case $1 in
	init) echo --encrypt --recovery --compression --undelete-days ;;
	key)
		echo --new-passphrase-file --new-key-file --recovery --label \
			--in-use
		;;
	backup)
		echo --all --group --spread --full --require --prefer --lease \
			--exclude-disk --scratch-dir --audit --limit-rate \
			--limit-read --compression
		;;
	run) echo --limit-rate --limit-read --compression ;;
	restore)
		echo --to --format --define --start --same-identity --disk \
			--overwrite --salvage --limit-rate
		;;
	verify) echo --sample --budget --ranges --limit-rate ;;
	forget) echo "$_holdstill_keep" --dry-run ;;
	prune) echo --dry-run --undelete-days --max-repack --silence ;;
	repair) echo --dry-run ;;
	list) echo --forgotten ;;
	guest) [[ $2 == freeze-test ]] && echo --hold --lease ;;
	esac
}

# What may stand here that is no option.
_holdstill_words()
{
	case $1 in
	backup | list) _holdstill_domains ;;
	show | restore | verify) _holdstill_points ;;
	forget)
		_holdstill_points
		_holdstill_domains
		;;
	unforget) _holdstill_points --forgotten | grep -v @ ;;
	catalog) [[ -z $2 ]] && echo rebuild sync ;;
	key) [[ -z $2 ]] && echo list add remove rotate-slot host ;;
	run) [[ -z $2 ]] && _holdstill_jobs ;;
	guest)
		if [[ -z $2 ]]; then
			echo status writers freeze-test
		else
			_holdstill_domains
		fi
		;;
	esac
}

_holdstill()
{
	local command sub word cur=${COMP_WORDS[COMP_CWORD]}
	local prev=${COMP_WORDS[COMP_CWORD - 1]} words

	COMPREPLY=()
	_holdstill_value "$prev" "$cur" && return
	_holdstill_find_command
	if [[ $cur == -* ]]; then
		words="$_holdstill_global $(_holdstill_options "$command" "$sub")"
	elif [[ -z $command ]]; then
		words=$_holdstill_commands
	elif [[ $command == key && $sub == host ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		compopt -o filenames 2>/dev/null
		return
	else
		words=$(_holdstill_words "$command" "$sub")
	fi
	# Not compgen -W, which would run a $(command) in a domain's name.
	read -r -d '' -a words <<<"$words"
	for word in "${words[@]}"; do
		[[ $word == "$cur"* && $word != *[!A-Za-z0-9._@:+-]* ]] &&
			COMPREPLY+=("$word")
	done
}

# '@' must not cut a point in two.
COMP_WORDBREAKS=${COMP_WORDBREAKS//@/}
complete -F _holdstill holdstill
